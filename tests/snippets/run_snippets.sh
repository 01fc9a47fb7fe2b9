#!/usr/bin/env bash
# Runs the code blocks of a Markdown file, in order, in one copy of the small data folder.
#   run_snippets.sh STRANDLINE TINY FILE.md       TINY: the folder made by tests/fixture/make_tiny.sh
# The line above each bash, cpp or cmake block says what happens to it; a block without such a line is an error:
#   <!-- run -->                     bash, run as it stands; a command that fails fails the test
#   <!-- run, prints: REGEX -->      the same, and standard output must match
#   <!-- same as: PATH -->           the block is the file PATH of the repository, which another test builds and runs
#   <!-- lines of: PATH -->          each line of the block stands in that file, which another test uses
#   <!-- not run: REASON -->         shown only
# `dna train` gets the flags of tests/fixture/quick_training on top, so that it takes seconds; nothing else is changed.
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 STRANDLINE TINY FILE.md" >&2; exit 2; }
strandline=$(realpath "$1")
document=$(realpath "$3")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r "$2" "$scratch/work"
mkdir "$scratch/bin" "$scratch/blocks"

cat >"$scratch/bin/strandline" <<WRAPPER
#!/usr/bin/env bash
if [ "\${1:-} \${2:-}" = "dna train" ]; then exec "$strandline" "\$@" $(cat "$root/tests/fixture/quick_training"); fi
exec "$strandline" "\$@"
WRAPPER
chmod +x "$scratch/bin/strandline"

# One file per block: first line the marker (or "none"), then the code. Names sort in document order.
awk -v folder="$scratch/blocks" '
  /^```(bash|cpp|cmake|sh)$/ && !inside { inside = 1; file = sprintf("%s/%05d.%s", folder, FNR, substr($0, 4)); print (marker == "" ? "none" : marker) >file; next }
  /^```/ && inside { inside = 0; close(file); marker = ""; next }
  inside { print >file; next }
  /^```/ { other = !other; next }
  /^<!-- .* -->$/ && !other { marker = substr($0, 6, length($0) - 9); next }
  !/^[ \t]*$/ { marker = "" }
  END { if (inside) { print "a block is not closed" >"/dev/stderr"; exit 1 } }' "$document"

ran=0
shown=0
for block in "$scratch"/blocks/*; do
  [ -f "$block" ] || continue
  name=$(basename "$block")
  place=${document#"$root"/}:$((10#${name%%.*}))
  marker=$(head -n 1 "$block")
  tail -n +2 "$block" >"$scratch/code"
  case $marker in
    run|run,\ prints:\ *)
      [ "${name##*.}" = bash ] || { echo "$place: only bash blocks are run; use 'same as' for $name" >&2; exit 1; }
      if ! (cd "$scratch/work" && PATH=$scratch/bin:$PATH timeout 300 bash -euo pipefail "$scratch/code") \
        >"$scratch/stdout" 2>"$scratch/stderr" </dev/null; then
        echo "$place: this block fails:" >&2
        cat "$scratch/code" "$scratch/stdout" "$scratch/stderr" >&2
        exit 1
      fi
      if [ "$marker" != run ] && ! grep -Eq -e "${marker#run, prints: }" "$scratch/stdout"; then
        echo "$place: the output does not match '${marker#run, prints: }':" >&2
        cat "$scratch/stdout" >&2
        exit 1
      fi
      ran=$((ran + 1))
      ;;
    "same as: "*)
      diff "$scratch/code" "$root/${marker#same as: }" >&2 || { echo "$place: not the same as ${marker#same as: }" >&2; exit 1; }
      ran=$((ran + 1))
      ;;
    "lines of: "*)
      while IFS= read -r line; do
        grep -qF -e "$line" "$root/${marker#lines of: }" || { echo "$place: '$line' is not in ${marker#lines of: }" >&2; exit 1; }
      done <"$scratch/code"
      ran=$((ran + 1))
      ;;
    "not run: "?*) shown=$((shown + 1)) ;;
    *) echo "$place: the line above this block must say 'run', 'same as: PATH' or 'not run: REASON', not '$marker'" >&2; exit 1 ;;
  esac
done
echo "${document#"$root"/}: $ran blocks run, $shown shown only"
