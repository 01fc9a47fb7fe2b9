#!/usr/bin/env bash
# Kills training at random moments and goes on each time: the model must be that of an uninterrupted run, bit for bit. Then
# SIGTERM must end with exit code 75 and a complete checkpoint, and a second run on the same output must be refused.
#   kill_resume.sh STRANDLINE KILLS [SEED [OPTION...]]      OPTION: more for `dna train`, as --device cuda
# KILL_RESUME_STEPS: optimiser steps of the run (default: 120); a fast machine needs more, to be at work when signals come
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 STRANDLINE KILLS [SEED [OPTION...]]" >&2; exit 2; }
strandline=$(realpath "$1")
kills=$2
RANDOM=${3:-1}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
child=
trap '[ -z "$child" ] || kill -9 "$child" 2>/dev/null || true; rm -rf "$scratch"' EXIT
cd "$scratch"

genome() { awk -v name="$1" -v contigs=2 -v bases=20000 -v gc="$2" -v seed="$3" -f "$here/../fixture/make_genome.awk"; }
genome a 0.55 1 >a.fa
genome b 0.40 2 >b.fa
options=(--class a=a.fa --class b=b.fa --length 128 --d-model 16 --d-state 8 --headdim 8 --layers 1 --dropout 0.1
  --batch-tokens 1024 --steps "${KILL_RESUME_STEPS:-120}" --eval-every 15 --val-windows 10 --eval-windows 20 --checkpoint-steps 5 --quiet -t 1 "${@:4}")
train() { "$strandline" dna train "${options[@]}" -o "$1"; }
# The program itself is the child, not a shell around it: signals reach what they should.
start() {
  "$strandline" dna train "${options[@]}" -o "$1" >/dev/null 2>"$1.stderr" &
  child=$!
}
fail() { echo "$0: $*" >&2; exit 1; }
hash_of() { sed -n 's/.*"model_hash": "\([0-9a-f]*\)".*/\1/p' "$1.run.json"; }

began=$(date +%s%N)
train whole.h5 >whole.txt
milliseconds=$((($(date +%s%N) - began) / 1000000))
wanted=$(hash_of whole.h5)
[ -n "$wanted" ] || fail "the uninterrupted run wrote no hash"
[ ! -e whole.h5.ckpt ] || fail "checkpoints stay behind after success"

# Every attempt is killed after a random share of the time that the whole run took; what it had reached stays.
killed=0
while [ "$killed" -lt "$kills" ]; do
  start killed.h5
  wait_ms=$((RANDOM % (milliseconds * 3 / 4 + 1)))
  sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
  if kill -9 "$child" 2>/dev/null; then killed=$((killed + 1)); fi
  wait "$child" 2>/dev/null || true
  child=
  # A run that came to its end begins anew, so that every kill hits a run at work.
  if [ -e killed.h5 ]; then
    [ "$(hash_of killed.h5)" = "$wanted" ] || [ -e killed.h5.ckpt ] || fail "a run that was resumed has another model"
    rm -f killed.h5 killed.h5.run.json
  fi
done
train killed.h5 >/dev/null
[ "$(hash_of killed.h5)" = "$wanted" ] || fail "after $killed kills the model is another: $(hash_of killed.h5), wanted $wanted"

# SIGTERM: exit code 75, no model, and the same command goes on.
start stopped.h5
for _ in $(seq 600); do
  ls -d stopped.h5.ckpt/step-* >/dev/null 2>&1 && break
  sleep 0.05
done
if train stopped.h5 >/dev/null 2>second.txt; then fail "two runs at once on one output"; else code=$?; fi
if kill -TERM "$child" 2>/dev/null; then
  code=0
  wait "$child" || code=$?
  [ "$code" = 75 ] || fail "SIGTERM ended with $code, wanted 75: $(cat stopped.h5.stderr)"
  grep -q 'another run is at work' second.txt || fail "the second run was refused for another reason: $(cat second.txt)"
  [ ! -e stopped.h5 ] || fail "a stopped run left a model"
fi
child=
if "$strandline" dna train "${options[@]}" --lr 0.5 -o stopped.h5 >/dev/null 2>other.txt; then
  fail "another configuration went on from the checkpoint"
fi
grep -q 'another configuration.*learning_rate.*--restart' other.txt || fail "unclear refusal: $(cat other.txt)"
train stopped.h5 >/dev/null
[ "$(hash_of stopped.h5)" = "$wanted" ] || fail "after SIGTERM the model is another"
echo "$killed kills and one SIGTERM: same model $wanted"
