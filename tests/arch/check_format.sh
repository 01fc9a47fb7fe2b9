#!/usr/bin/env bash
# clang-format over every C++ file, changing nothing. Exit 77 (skipped) when the pinned clang-format is not installed:
# another version would format differently.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

program=$(command -v clang-format-14 || command -v clang-format || true)
case $("${program:-false}" --version 2>/dev/null || true) in
  *"version 14."*) ;;
  *) echo "skipped: clang-format 14 is not installed"; exit 77 ;;
esac
mapfile -t files < <(find core cuda io pipelines apps tests -type f \( -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) \
  -not -path 'tests/arch/fixture/*' | LC_ALL=C sort)
unformatted=()
for file in "${files[@]}"; do
  "$program" --dry-run --Werror "$file" 2>/dev/null || unformatted+=("$file")
done
if [ ${#unformatted[@]} -gt 0 ]; then
  echo "not formatted; to mend: $program -i ${unformatted[*]}"
  exit 1
fi
echo "${#files[@]} files are formatted"
