#!/usr/bin/env bash
# Brings the genomes of a manifest out of Debian packages, which are downloaded and unpacked but never installed.
#   datasets/fetch_genomes.sh MANIFEST FOLDER
# What is in FOLDER with the right checksum stays. Every file is checked against the manifest before it gets its name.
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 MANIFEST FOLDER" >&2; exit 2; }
manifest=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)

has_checksum() { [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

packages=()
while IFS=$'\t' read -r file package _ _ _ sha256 _; do
  has_checksum "$folder/$file" "$sha256" || packages+=("$package")
done < <(tail -n +2 "$manifest")
[ ${#packages[@]} -gt 0 ] || { echo "genomes: all there, in $folder"; exit 0; }
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)

scratch=$folder/.unpacking
rm -rf "$scratch"
mkdir -p "$scratch"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
echo "genomes: downloading ${packages[*]}"
if ! apt-get -q download "${packages[@]}" >apt.log 2>&1; then
  as_root apt-get -q update </dev/null >apt.log 2>&1 || { cat apt.log >&2; exit 74; }
  apt-get -q download "${packages[@]}" >apt.log 2>&1 || { cat apt.log >&2; exit 74; }
fi
for package in *.deb; do
  dpkg-deb -x "$package" unpacked
  rm "$package"
done
cd - >/dev/null

while IFS=$'\t' read -r file package version path _ sha256 _; do
  has_checksum "$folder/$file" "$sha256" && continue
  has_checksum "$scratch/unpacked/$path" "$sha256" || {
    echo "$0: $path of the package $package is not the file of version $version that $manifest lists" >&2
    exit 65
  }
  mv "$scratch/unpacked/$path" "$folder/$file"
done < <(tail -n +2 "$manifest")
echo "genomes: $(tail -n +2 "$manifest" | wc -l) files in $folder, checksums right"
