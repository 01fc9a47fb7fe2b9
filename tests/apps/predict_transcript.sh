#!/usr/bin/env bash
# `strandline dna predict` and `dna embed` as a shell sees them: same bytes whatever the machine is told, quiet ends, nothing half-written.
#   predict_transcript.sh STRANDLINE TINY      TINY: the folder made by tests/fixture/make_tiny.sh
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 STRANDLINE TINY" >&2; exit 2; }
strandline=$1
tiny=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
predict() { "$strandline" dna predict -m "$tiny/model.h5" --quiet "$@"; }
# wants CODE COMMAND...: the exit code, and nothing left behind in ./out
wants() {
  local wanted=$1 code=0
  shift
  rm -rf out && mkdir out
  "$@" >stdout 2>stderr || code=$?
  [ "$code" = "$wanted" ] || fail "exit $code, wanted $wanted: $* $(cat stderr)"
  [ "$wanted" = 0 ] || [ -z "$(ls -A out)" ] || fail "left behind: $(ls -A out): $*"
}
same() { cmp "$1" "$2" || fail "$3"; }

# The same bytes for any threads, budget of tokens, shards, and from every format.
predict "$tiny/reads.fa" >expected.tsv
[ "$(wc -l <expected.tsv)" = $(($(grep -c '>' "$tiny/reads.fa") + 1)) ] || fail "not one line per record"
for threads in 1 2; do
  for tokens in 1 1000 100000; do
    predict "$tiny/reads.fa" -t $threads --batch-tokens $tokens -o calls.tsv
    same calls.tsv expected.tsv "-t $threads --batch-tokens $tokens"
  done
done
for shards in 2 5; do
  for i in $(seq $shards); do predict "$tiny/reads.fa" --shard "$i/$shards"; done >joined.tsv
  same joined.tsv expected.tsv "$shards shards"
done
predict - <"$tiny/reads.fa" >calls.tsv
same calls.tsv expected.tsv "standard input"
for reads in reads.fastq.gz reads.sam reads.bam; do
  predict "$tiny/$reads" >calls.tsv
  same calls.tsv expected.tsv "$reads"
done
predict "$tiny/reads.cram" --reference "$tiny/reference.fa" >calls.tsv
same calls.tsv expected.tsv "reads.cram"

# Copies of the records.
predict "$tiny/reads.bam" -o calls.tsv --out-bam labelled.bam --classified-out 'class_{label}.fa' --summary summary.json
same calls.tsv expected.tsv "table beside copies"
[ "$(grep -c '>' class_ecoli.fa)" = "$(awk -F '\t' '$3 == "ecoli"' expected.tsv | wc -l)" ] || fail "class_ecoli.fa"
grep -q '"records_per_class"' summary.json || fail "summary.json"
if command -v samtools >/dev/null; then
  samtools quickcheck -u labelled.bam || fail "labelled.bam"
  samtools view labelled.bam | awk '{ for (i = 12; i <= NF; i++) if ($i ~ /^sl:Z:/) print $1 "\t" substr($i, 6) }' >tags
  awk -F '\t' 'NR > 1 { print $1 "\t" $3 }' expected.tsv | cmp - tags || fail "tags of labelled.bam"
  samtools view -H labelled.bam | grep -q '^@PG.*strandline' || fail "no @PG line"
fi

# Embeddings: the same bytes for any budget.
"$strandline" dna embed -m "$tiny/model.h5" --quiet "$tiny/reads.fa" -o a.npy
"$strandline" dna embed -m "$tiny/model.h5" --quiet "$tiny/reads.bam" -o b.npy --batch-tokens 100 -t 1
same a.npy b.npy "embeddings"
same a.npy.ids.txt b.npy.ids.txt "ids of the embeddings"

# Messages go to standard error, and --quiet silences them.
"$strandline" dna predict -m "$tiny/model.h5" "$tiny/reads.fa" 2>stderr >/dev/null
grep -q '^strandline: .* records, ' stderr || fail "no last word"
predict "$tiny/reads.fa" 2>stderr >/dev/null
[ ! -s stderr ] || fail "--quiet is not quiet: $(cat stderr)"

# A closed pipe is a quiet end, but not when other files were asked for.
awk 'BEGIN { srand(1); for (r = 0; r < 4000; r++) { printf ">r%d\n", r
  for (i = 0; i < 1000; i++) printf "%s", substr("ACGT", int(rand() * 4) + 1, 1); print "" } }' >many.fa
set +o pipefail
predict many.fa 2>stderr | head -n 2 >head.tsv
[ "${PIPESTATUS[0]}" = 0 ] || fail "a closed pipe ended with ${PIPESTATUS[0]}"
[ ! -s stderr ] || fail "a closed pipe is not quiet: $(cat stderr)"
mkdir -p out
predict many.fa --classified-out 'out/{label}.fa' 2>stderr | head -n 2 >head.tsv
[ "${PIPESTATUS[0]}" = 74 ] || fail "lost copies ended with ${PIPESTATUS[0]}"
grep -q 'standard output was closed' stderr || fail "lost copies: $(cat stderr)"
set -o pipefail

# Signals: nothing under the final name, and nothing beside it.
for signal in TERM INT; do
  rm -rf out && mkdir out
  "$strandline" dna predict -m "$tiny/model.h5" --quiet many.fa -o out/calls.tsv 2>stderr &
  job=$!
  for _ in $(seq 500); do [ -n "$(ls -A out)" ] && break; sleep 0.01; done
  kill -$signal $job
  code=0
  wait $job || code=$?
  [ "$code" = 75 ] || fail "SIG$signal ended with $code: $(cat stderr)"
  grep -q 'error: interrupted' stderr || fail "SIG$signal: $(cat stderr)"
  [ -z "$(ls -A out)" ] || fail "SIG$signal left behind: $(ls -A out)"
done

# A full disk, for a file and for standard output.
limited() { (ulimit -f 8 && predict "$@"); }
wants 74 limited many.fa -o out/calls.tsv
grep -q 'out/calls.tsv: cannot write' stderr || fail "file size limit: $(cat stderr)"
if [ -w /dev/full ]; then
  code=0
  predict many.fa 2>stderr >/dev/full || code=$?
  [ "$code" = 74 ] || fail "/dev/full ended with $code"
fi

# Every exit code.
wants 2 predict
wants 2 predict "$tiny/reads.fa" --shard 3/2
wants 2 predict "$tiny/reads.fa" --window 100 --stride 200
wants 2 predict - --shard 1/2
wants 2 predict "$tiny/reads.fa" --device gpu
wants 65 predict "$tiny/reads.fa" -o out/calls.tsv --out-bam out/labelled.bam
wants 65 "$strandline" dna predict -m "$tiny/reads.fa" "$tiny/reads.fa" -o out/calls.tsv
wants 69 predict "$tiny/reads.fa" -o out/calls.tsv --device cuda:4095
wants 71 predict "$tiny/reads.fa" -o out/calls.tsv --memory 1M
grep -q 'needs .* but there is 1.0 MiB. Use a smaller --batch-tokens' stderr || fail "memory: $(cat stderr)"
wants 74 predict missing.fa -o out/calls.tsv
wants 74 predict "$tiny/reads.fa" -o missing/calls.tsv

"$strandline" model info "$tiny/model.h5" | grep -q '^classes *ecoli, yeast' || fail "model info"
echo "all as expected"
