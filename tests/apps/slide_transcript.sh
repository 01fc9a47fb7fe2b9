#!/usr/bin/env bash
# Slides, as their users meet them: training over folds, the same bits on repetition, for any number of threads and after kills; what
# prediction says about good and broken bags.
#   slide_transcript.sh STRANDLINE TINY KILLS
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 STRANDLINE TINY KILLS" >&2; exit 2; }
strandline=$(realpath "$1")
slides=$(realpath "$2")/slides
kills=$3
RANDOM=1
scratch=$(mktemp -d)
child=
trap '[ -z "$child" ] || kill -9 "$child" 2>/dev/null || true; rm -rf "$scratch"' EXIT
cd "$scratch"

fail() { echo "$0: $*" >&2; exit 1; }
options=(--features "$slides/bags" --table "$slides/labels.csv" --folds 3 --model abmil --set d_model=64 --epochs 40 --min-epochs 40
  --lr 0.003 --checkpoint-epochs 1 -q)
train() { "$strandline" slide train "${options[@]}" -t "$1" -o "$2"; }
# A model file also holds the command that trained it, so that two runs share weights and not bytes.
hashes() { sed -n '/"model_hashes"/,/]/p' "$1/manifest.json"; }
tables() { sha256sum "$1"/fold_*.csv "$1"/summary.csv "$1"/predictions.tsv "$1"/splits_*.csv "$1"/metrics.json | sed "s| $1/| |"; }

began=$(date +%s%N)
train 1 whole >whole.txt
milliseconds=$((($(date +%s%N) - began) / 1000000))
for name in fold_0/model.h5 fold_0.csv fold_2.csv summary.csv splits_1.csv predictions.tsv metrics.json report.html manifest.json; do
  [ -s "whole/$name" ] || fail "$name is missing"
done
if ls -d whole/fold_*/checkpoints >/dev/null 2>&1; then fail "checkpoints stay behind after success"; fi
[ "$(hashes whole)" != "" ] || fail "no model hashes in the manifest"
# Guessing gets 14 of 18 right once in 65 times.
awk -F '\t' 'NR > 1 && $4 == $5 { right++ } END { exit right < 14 }' whole/predictions.tsv || fail "the planted patches were not found"

train 2 again >/dev/null
[ "$(hashes whole)" = "$(hashes again)" ] || fail "other models with two threads"
[ "$(tables whole)" = "$(tables again)" ] || fail "other tables with two threads"

killed=0
while [ "$killed" -lt "$kills" ]; do
  "$strandline" slide train "${options[@]}" -t 1 -o killed >/dev/null 2>killed.stderr &
  child=$!
  wait_ms=$((RANDOM % (milliseconds * 3 / 4 + 1)))
  sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
  if kill -9 "$child" 2>/dev/null; then killed=$((killed + 1)); fi
  wait "$child" 2>/dev/null || true
  child=
  if [ -e killed/manifest.json ]; then rm -rf killed; fi
done
train 1 killed >/dev/null
[ "$(hashes whole)" = "$(hashes killed)" ] || fail "after $killed kills the models are others"
[ "$(tables whole)" = "$(tables killed)" ] || fail "after $killed kills the tables are others"

"$strandline" slide train "${options[@]}" -t 1 -o stopped >/dev/null 2>stopped.stderr &
child=$!
for _ in $(seq 600); do
  ls -d stopped/fold_1/checkpoints/step-* >/dev/null 2>&1 && break
  sleep 0.05
done
if kill -TERM "$child" 2>/dev/null; then
  code=0
  wait "$child" || code=$?
  [ "$code" = 75 ] || fail "SIGTERM ended with $code, wanted 75: $(cat stopped.stderr)"
fi
child=
train 2 stopped >/dev/null
[ "$(hashes whole)" = "$(hashes stopped)" ] || fail "after SIGTERM the models are others"

# CLAM's splits, written and read.
mkdir splits
cp whole/splits_*.csv splits
"$strandline" slide train "${options[@]}" --splits splits -o from_splits >/dev/null
cmp whole/splits_0.csv from_splits/splits_0.csv || fail "splits read back are others"
[ "$(hashes whole)" = "$(hashes from_splits)" ] || fail "other models from the same splits"

"$strandline" slide predict --model whole "$slides/bags" >all.tsv 2>/dev/null
"$strandline" slide predict --model whole -t 2 "$slides"/bags/*.npy -o files.tsv 2>/dev/null
cmp all.tsv files.tsv || fail "a folder and its files give different tables"
[ "$(wc -l <all.tsv)" = 19 ] || fail "not one line per slide"
echo broken >broken.npy
code=0
"$strandline" slide predict --model whole broken.npy missing.h5 "$slides/bags/slide_03.npy" >partly.tsv 2>partly.stderr || code=$?
[ "$code" = 65 ] || fail "broken bags ended with $code, wanted 65"
grep -q '2 of 3 slides got no prediction' partly.stderr || fail "unclear summary: $(cat partly.stderr)"
[ "$(grep -c 'NA.NA' partly.tsv)" = 2 ] || fail "not NA for broken bags: $(cat partly.tsv)"
[ "$(grep '^slide_03' partly.tsv)" = "$(grep '^slide_03' all.tsv)" ] || fail "a good slide beside broken ones changed"
echo "$killed kills and one SIGTERM: same models"
