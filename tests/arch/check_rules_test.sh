#!/usr/bin/env bash
# The rule check can fail: tests/arch/fixture is a small tree in which every line that breaks a rule says so
# ("expect: rule"). The check must find exactly those lines.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -r "$here/fixture/." "$tree"
yes '// one line too many' | head -n 501 >"$tree/core/base/long.hpp" || true
yes '// just right' | head -n 500 >"$tree/core/base/not_too_long.hpp" || true

wanted=$(cd "$tree" && { grep -rn 'expect: ' . | sed -E 's|^\./([^:]*:[0-9]+):.*expect: ([a-z-]+).*|\1: \2|'; echo 'core/base/long.hpp:501: length'; } | LC_ALL=C sort)
status=0
found=$(bash "$here/check_rules.sh" "$tree" 2>/dev/null) || status=$?
found=$(sed -E 's/^([^:]*:[0-9]+: [a-z-]+):.*/\1/' <<<"$found" | LC_ALL=C sort)
if [ "$status" != 1 ] || [ "$found" != "$wanted" ]; then
  echo "exit $status, wanted 1; < should be found, > was found:" >&2
  diff <(echo "$wanted") <(echo "$found") >&2
  exit 1
fi
echo "all $(wc -l <<<"$wanted") planted breaches were found, and nothing else"
