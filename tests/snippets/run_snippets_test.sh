#!/usr/bin/env bash
# The runner of documentation blocks can fail, and says where.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tiny"
echo data >"$scratch/tiny/reads.fa"

# expect EXIT TEXT: the Markdown on standard input ends so, and the output has TEXT.
expect() {
  local code=0
  cat >"$scratch/page.md"
  bash "$here/run_snippets.sh" /bin/echo "$scratch/tiny" "$scratch/page.md" >"$scratch/out" 2>&1 || code=$?
  if [ "$code" != "$1" ] || ! grep -qF -e "$2" "$scratch/out"; then
    echo "wanted exit $1 and '$2', got exit $code and:" >&2
    cat "$scratch/page.md" "$scratch/out" >&2
    exit 1
  fi
}

expect 0 '2 blocks run, 1 shown only' <<'PAGE'
<!-- run -->
```bash
cat reads.fa >copy.fa
```
<!-- run, prints: ^da -->
```bash
cat copy.fa
```
<!-- not run: an example -->
```bash
false
```
PAGE
expect 1 'page.md:2: this block fails' <<'PAGE'
<!-- run -->
```bash
cat missing.fa
cat reads.fa
```
PAGE
expect 1 'does not match' <<'PAGE'
<!-- run, prints: ^nothing -->
```bash
cat reads.fa
```
PAGE
expect 1 'page.md:2: the line above this block must say' <<'PAGE'
Some text.
```bash
cat reads.fa
```
PAGE
expect 1 'not the same as' <<'PAGE'
<!-- same as: tests/run.sh -->
```cpp
int main() {}
```
PAGE
expect 1 "'no such line' is not in tests/run.sh" <<'PAGE'
<!-- lines of: tests/run.sh -->
```cmake
set -euo pipefail
no such line
```
PAGE
expect 0 '2 blocks run' <<'PAGE'
<!-- run, prints: ^dna train x --steps -->
```bash
strandline dna train x
```
<!-- run, prints: ^dna predict x$ -->
```bash
strandline dna predict x
```
PAGE
echo "the runner finds what is wrong"
