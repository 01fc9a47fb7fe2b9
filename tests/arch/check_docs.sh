#!/usr/bin/env bash
# What the documentation points at exists: relative links, and paths of files in backticks (`core/ops/ssd_scan.hpp`; those
# with a <placeholder> or a * are left out).
#   tests/arch/check_docs.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"

broken=0
say() { echo "$1: $2 does not exist"; broken=$((broken + 1)); }

while IFS= read -r page; do
  folder=$(dirname "$page")
  while IFS= read -r link; do
    [ -e "$folder/${link%%#*}" ] || say "$page" "link $link"
  done < <(grep -oE '\]\([^)#]+[^)]*\)' "$page" | sed -E 's/^\]\(//; s/\)$//' | grep -vE '^(https?|mailto):')
  while IFS= read -r path; do
    [ -e "$path" ] || say "$page" "$path"
  done < <(grep -oE '`(core|cuda|io|pipelines|apps|tests|docs|datasets|cmake)/[^`<* ]*\.[a-z]+`' "$page" | tr -d '`')
done < <(find README.md CONTRIBUTING.md CHANGELOG.md docs datasets -name '*.md' | LC_ALL=C sort)
[ "$broken" = 0 ] || exit 1
echo "every link and path of the documentation exists"
