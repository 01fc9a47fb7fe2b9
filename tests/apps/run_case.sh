#!/usr/bin/env bash
# Runs one case of tests/cases: a command line that must end with a given exit code and message.
#   run_case.sh STRANDLINE CASE TINY      TINY: the folder made by tests/fixture/make_tiny.sh
# A case is a folder (tests/cases/README.md) with
#   args     the arguments of `strandline`, one per line; {dir} is the case, {out} an empty folder (or, as a whole argument, a path
#            in it), {model} and {tiny} come from TINY, {data} is the folder of shared test data (skipped when there is none)
#   exit     the exit code
#   stderr   extended regular expressions, one a line, that standard error must match; absent: it must be empty
#   stdout   the same for standard output; absent: it is not looked at
#   stdin    standard input; absent: none
#   leaves   extended regular expressions, one a line: the files that a failure may leave in the folder of {out} (a job of many
#            inputs keeps what the good ones gave); absent: none
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 STRANDLINE CASE TINY" >&2; exit 2; }
strandline=$1
dir=$2
tiny=$3
data=${STRANDLINE_SHARED_DATA:-$(dirname "${BASH_SOURCE[0]}")/../../../shared/data}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/out"

fail() {
  echo "$dir: $*" >&2
  echo "--- command: strandline ${arguments[*]}" >&2
  sed 's/^/--- stderr: /' "$scratch/stderr" >&2
  exit 1
}

if grep -q '{data}' "$dir/args" && [ ! -d "$data" ]; then
  echo "skipped: no shared test data"
  exit 77
fi
mapfile -t arguments < <(sed -e "s|{dir}|$dir|g" -e "s|^{out}\$|$scratch/out/result|" -e "s|{out}|$scratch/out|g" \
  -e "s|{model}|$tiny/model.h5|g" -e "s|{tiny}|$tiny|g" -e "s|{data}|$data|g" "$dir/args")
input=/dev/null
[ ! -f "$dir/stdin" ] || input=$dir/stdin

code=0
timeout 120 "$strandline" "${arguments[@]}" <"$input" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?

wanted=$(tr -d '[:space:]' <"$dir/exit")
[ "$code" = "$wanted" ] || fail "exit $code, wanted $wanted"
for stream in stderr stdout; do
  [ -f "$dir/$stream" ] || continue
  while IFS= read -r expression; do
    [ -z "$expression" ] || grep -Eq -e "$expression" "$scratch/$stream" || fail "$stream does not match: $expression"
  done <"$dir/$stream"
done
[ -f "$dir/stderr" ] || [ "$wanted" != 0 ] || [ ! -s "$scratch/stderr" ] || fail "standard error should be empty"
[ -f "$dir/stderr" ] || [ "$wanted" = 0 ] || fail "a case that fails says what standard error must match"
if [ "$wanted" != 0 ] && [ "$wanted" != 75 ]; then
  if [ -f "$dir/leaves" ]; then
    left=$(cd "$scratch/out" && find . -type f -printf '%P\n' | grep -Evx -f "$dir/leaves" || true)
  else
    left=$(ls -A "$scratch/out")
  fi
  [ -z "$left" ] || fail "left behind after a failure: $left"
fi
