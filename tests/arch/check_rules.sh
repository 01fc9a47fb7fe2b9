#!/usr/bin/env bash
# Holds every source file against the house rules of tests/arch/rules.awk: who may include whom, which third-party header
# stays where, what is denied, how long a file may be.
#   tests/arch/check_rules.sh [ROOT]        exit 1 and one line per breach
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${1:-$here/../..}"

mapfile -t files < <(
  find core cuda io pipelines apps tests datasets cmake .ci CMakeLists.txt -type f \
    \( -name '*.hpp' -o -name '*.cpp' -o -name '*.h' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' -o -name '*.sh' -o -name '*.py' \
       -o -name '*.awk' -o -name '*.cmake' -o -name '*.in' -o -name CMakeLists.txt \) \
    -not -path 'tests/arch/fixture/*' -not -path 'tests/arch/rules.awk' 2>/dev/null | LC_ALL=C sort)
[ ${#files[@]} -gt 0 ] || { echo "$0: no source files under $PWD" >&2; exit 2; }

breaches=$(LC_ALL=C awk -f "$here/rules.awk" "${files[@]}")
if [ -n "$breaches" ]; then
  printf '%s\n' "$breaches"
  echo "$(wc -l <<<"$breaches") breaches of the house rules (docs/style.md)" >&2
  exit 1
fi
echo "${#files[@]} files keep the house rules"
