#!/usr/bin/env bash
# A million reads of 150 bases through `dna predict`: reads a second, and whether the reader or the card is the limit.
#   bash tests/gpu/reads.sh STRANDLINE [--device cuda] [--precision bf16] [--reads N] [--limit SECONDS]
# The reads are stretches of two made-up genomes, as FASTA and as FASTQ.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
strandline=$(realpath "$1")
shift
device=cuda precision=bf16 reads=1000000 limit=180
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2 ;;
    --precision) precision=$2 ;;
    --reads) reads=$2 ;;
    --limit) limit=$2 ;;
    *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
export LC_ALL=C

genome() { awk -v name="$1" -v contigs=1 -v bases=200000 -v gc="$2" -v seed="$3" -f "$here/../fixture/make_genome.awk"; }
genome a 0.41 1 >a.fa
genome b 0.55 2 >b.fa
grep -v '>' a.fa | tr -d '\n' >letters
grep -v '>' b.fa | tr -d '\n' >>letters
echo >>letters
awk -v reads="$reads" '
  { letters = $0 }
  END { quality = sprintf("%150s", ""); gsub(/ /, "I", quality); last = length(letters) - 149; srand(7)
        for (i = 0; i < reads; i++) {
          read = substr(letters, int(rand() * last) + 1, 150)
          print "@r" i "\n" read "\n+\n" quality >"reads.fastq"
          print ">r" i "\n" read >"reads.fa" } }' letters

timeout 120 "$strandline" dna train --class a=a.fa --class b=b.fa --direction bidirectional --d-model 128 --layers 4 --d-state 128 \
  --headdim 64 --length 512 --min-length 150 --batch-tokens 2048 --steps 2 --val-windows 4 --eval-windows 4 --quiet \
  --device "$device" -o model.h5 >train.log 2>&1 || { cat train.log >&2; exit 1; }

verdict=0
table=$(printf '%-8s %-8s %9s %10s %9s %9s %9s  %s' reads verdict seconds reads/s 'reader s' 'encoder s' 'writer s' 'the limit')
for form in fa fastq; do
  options=(-m model.h5 "reads.$form" -o "$form.tsv" --device "$device")
  [ "$precision" = fp32 ] || options+=(--precision "$precision")
  code=0
  began=$(date +%s.%N)
  timeout --kill-after=20 "$limit" "$strandline" dna predict "${options[@]}" 2>"$form.log" || code=$?
  ended=$(date +%s.%N)
  sed "s/^/$form: /" "$form.log" >&2
  if [ "$code" != 0 ] || [ "$(wc -l <"$form.tsv")" != $((reads + 1)) ]; then
    verdict=1
    table+=$'\n'$(printf '%-8s %-8s status %s: %s' "$form" FAILED "$code" "$(grep -a error "$form.log" | tail -n 1)")
    continue
  fi
  table+=$'\n'$(awk -v name="$form" -v reads="$reads" -v seconds="$(awk -v a="$began" -v b="$ended" 'BEGIN { print b - a }')" '
    /waiting for the reader/ { for (i = 1; i <= NF; i++) if ($i == "s") number[++count] = $(i - 1) }
    END { limit = number[1] > number[2] ? "the reader" : "the encoder"; if (number[3] > number[1] && number[3] > number[2]) limit = "the writer"
          printf "%-8s %-8s %9.1f %10.0f %9.1f %9.1f %9.1f  %s", name, "passed", seconds, reads / (number[1] + number[2] + number[3]), number[1], number[2], number[3], limit }' "$form.log")
done
cmp fa.tsv fastq.tsv || { verdict=1; table+=$'\nFASTA and FASTQ of the same reads have other results'; }
echo "$reads reads of 150 bases, 128 x 4, both ways, $device, $precision; seconds: with the start of the program"
echo "$table"
exit $verdict
