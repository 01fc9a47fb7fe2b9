#!/usr/bin/env bash
# Builds and runs a small project that uses Strandline as others would.
#   check_consumer.sh installed BUILD_DIR     installs BUILD_DIR into a folder of its own and finds the package there
#   check_consumer.sh subdirectory BUILD_DIR  adds the source tree as a subdirectory, with the flags of a release build, so that
#                                             ccache has most of it already
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(cd "$here/../.." && pwd)
form=$1
build_dir=$2
work=$build_dir/outside/$form
rm -rf "$work"
mkdir -p "$work"

# Copied out, so that nothing beside the project is found by accident.
cp -r "$here/consumer" "$work/source"
arguments=(-G Ninja -S "$work/source" -B "$work/build")
case $form in
  installed)
    cmake --install "$build_dir" --prefix "$work/prefix" >"$work/install.log"
    "$work/prefix/bin/strandline" --version | head -1
    (cd "$work/prefix/include" && find strandline -name '*.hpp' | LC_ALL=C sort | sed 's/.*/#include <&>/') >"$work/all_headers.cpp"
    arguments+=(-DCMAKE_PREFIX_PATH="$work/prefix" -DALL_HEADERS="$work/all_headers.cpp" -DCMAKE_BUILD_TYPE=Release)
    ;;
  subdirectory)
    arguments+=(-DSTRANDLINE_SOURCE="$source_dir" -DSTRANDLINE_WITH_CUDA=OFF -DSTRANDLINE_WARNINGS_AS_ERRORS=ON -DCMAKE_BUILD_TYPE=Release)
    ;;
  *) echo "usage: $0 installed|subdirectory BUILD_DIR" >&2; exit 2 ;;
esac
cmake "${arguments[@]}" >"$work/configure.log" 2>&1 || { cat "$work/configure.log" >&2; exit 1; }
cmake --build "$work/build" >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; exit 1; }
"$work/build/consumer" "$here/consumer/two_contigs.fa"
