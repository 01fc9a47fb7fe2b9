#!/usr/bin/env bash
# `strandline model info`, `import`, `export` and `bench` as a shell sees them.
#   model_transcript.sh STRANDLINE SOURCE
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 STRANDLINE SOURCE" >&2; exit 2; }
strandline=$1
golden=$2/tests/parity/golden/groups1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

"$strandline" model import "$golden/model.safetensors" -o encoder.h5
"$strandline" model info encoder.h5 >info.txt
grep -q '^classes *none: an encoder without a head' info.txt || fail "model info: $(cat info.txt)"
"$strandline" model info encoder.h5 --json | grep -q '"d_model": 32' || fail "model info --json"

"$strandline" model export encoder.h5 -o exported
"$strandline" model import exported/model.safetensors -o again.h5
"$strandline" model info again.h5 >again.txt
cmp <(grep '^hash' info.txt) <(grep '^hash' again.txt) || fail "an exported and imported model differs"

printf '>a\nACGTACGTTTGACA\n' >a.fa
"$strandline" dna embed -m encoder.h5 a.fa -o a.h5 --quiet || fail "an imported encoder does not embed"
code=0
"$strandline" dna predict -m encoder.h5 a.fa -o calls.tsv 2>stderr || code=$?
[ "$code" = 65 ] || fail "predicting without a head ended with $code"
grep -q 'encoder.h5: the model has no classification head.*dna embed' stderr || fail "$(cat stderr)"

"$strandline" bench --only conv1d --repeats 1 -t 1 >bench.txt
grep -q '^conv1d .*[0-9]' bench.txt || fail "bench: $(cat bench.txt)"
"$strandline" bench --only conv1d --repeats 1 -t 1 --json | grep -q '"tokens_per_s"' || fail "bench --json"
for command in "dna predict" "dna embed" "model info" "model import" "model export" bench; do
  "$strandline" $command --help | grep -q '^Example' || fail "$command --help has no example"
done
"$strandline" --version | head -n 1 | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+' || fail "--version"
echo "all as expected"
