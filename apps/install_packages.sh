#!/usr/bin/env bash
# The Debian packages that Strandline needs, listed once. Installs those that are missing; does nothing, and needs neither
# root nor a network, when all are there.
#   apps/install_packages.sh          what building and running needs
#   apps/install_packages.sh --test   the same, and what the tests need
#   apps/install_packages.sh --list   prints the names, installs nothing
set -euo pipefail

build=(build-essential cmake ninja-build ccache pkg-config
       libhts-dev libhdf5-dev libopenslide-dev libtiff-dev libpng-dev libopencv-core-dev libopencv-imgproc-dev libboost-dev libcli11-dev nlohmann-json3-dev libfmt-dev zlib1g-dev)
run=(samtools)                                       # the quickstart makes its BAM of reads with it
test=(libgtest-dev libgmock-dev clang-format tabix)  # tabix brings bgzip

packages=("${build[@]}" "${run[@]}")
list=no
for argument in "$@"; do
  case $argument in
    --test) packages+=("${test[@]}") ;;
    --list) list=yes ;;
    *) echo "usage: $0 [--test] [--list]" >&2; exit 2 ;;
  esac
done
if [ "$list" = yes ]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || {
  echo "$0: this is not Debian or Ubuntu. Install what corresponds to: ${packages[*]}" >&2
  exit 69
}
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
  grep -qx installed <<<"$status" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing: ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "$0: needs root or sudo to install: ${missing[*]}" >&2; exit 69; }
  as_root=(sudo)
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update </dev/null >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get -q -y --no-install-recommends install "${missing[@]}" </dev/null >&2
