#!/usr/bin/env bash
# A chromosome as one sequence: as many bases as human chromosome 1 (GRCh38), made up here, through `dna embed`: in one call
# through encoders that read both ways, and streamed through a causal one. Every case has a row in the table: time, bases a
# second, the device memory that the plan announced and what was held. A case fails when its vector is not finite, or when
# what the card held is not within 5 % of the plan.
#   bash tests/gpu/chromosome.sh STRANDLINE [--device cuda] [--precision bf16] [--bases N] [--limit SECONDS] [--case NAME]...
# --limit  for each case (default: 240);  --case  both_64x4, both_128x4, causal_256x8 (default: all three)
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
strandline=$(realpath "$1")
shift
device=cuda precision=bf16 bases=248956422 limit=240
cases=()
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2 ;;
    --precision) precision=$2 ;;
    --bases) bases=$2 ;;
    --limit) limit=$2 ;;
    --case) cases+=("$2") ;;
    *) sed -n '2,8s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done
[ ${#cases[@]} -gt 0 ] || cases=(both_64x4 both_128x4 causal_256x8)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
export LC_ALL=C

# Lines of 80 bases: a random stretch, doubled until it is long enough, cut at the last base.
stretch() { awk -v name="$1" -v contigs=1 -v bases=80000 -v gc="$2" -v seed="$3" -f "$here/../fixture/make_genome.awk"; }
stretch a 0.41 1 >a.fa
stretch b 0.55 2 >b.fa
began=$(date +%s.%N)
grep -v '>' a.fa >block
while [ "$(stat -c %s block)" -lt $((64 << 20)) ] && [ "$(stat -c %s block)" -lt "$bases" ]; do
  cat block block >doubled && mv doubled block
done
{
  echo ">chromosome $bases bases, made up"
  for _ in $(seq $((bases / $(stat -c %s block) + 1))); do cat block; done 2>/dev/null | head -c $((bases / 80 * 81 + bases % 80))
  echo
} >chromosome.fa
rm -f block doubled
echo "chromosome.fa: $(stat -c %s chromosome.fa) bytes in $(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }') s" >&2

# A model of this shape after two steps on the two stretches: what it says is worth nothing, what it takes is.
make_model() {  # name direction width layers
  local options=(--class a=a.fa --class b=b.fa --direction "$2" --d-model "$3" --layers "$4" --d-state 128 --headdim 64
    --length 512 --min-length 256 --batch-tokens 2048 --steps 2 --val-windows 4 --eval-windows 4 --val-fraction 0.2 --quiet)
  timeout 120 "$strandline" dna train "${options[@]}" --device "$device" -o "$1.h5" >"$1.train" 2>&1 && return
  cat "$1.train" >&2
  return 1
}

verdict=0
table=$(printf '%-14s %-8s %8s %10s %11s %11s  %s' case verdict seconds Mb/s 'plan GiB' 'held GiB' 'host peak GiB')
fail() { verdict=1; table+=$'\n'$(printf '%-14s %-8s %s' "$1" FAILED "$2"); }

run_case() {  # name direction width layers
  local code=0 options=(-m "$1.h5" chromosome.fa -o "$1.npy" --device "$device") timed=()
  [ "$precision" = fp32 ] || options+=(--precision "$precision")
  [ ! -x /usr/bin/time ] || timed=(/usr/bin/time -f 'host peak %M KiB')
  make_model "$@" || { fail "$1" "no model"; return; }
  timeout --kill-after=20 "$limit" ${timed[@]+"${timed[@]}"} "$strandline" dna embed "${options[@]}" 2>"$1.log" || code=$?
  sed "s/^/$1: /" "$1.log" >&2
  [ "$code" = 0 ] || { fail "$1" "status $code: $(grep -a 'error' "$1.log" | tail -n 1)"; return; }
  # The vector is the last of the file: one number of 4 bytes per channel.
  if tail -c $((4 * $3)) "$1.npy" | od -A n -t f4 -v | grep -qi '[nf]'; then fail "$1" "the vector is not finite"; return; fi
  table+=$'\n'$(awk -v name="$1" '
    / records, / { for (i = 1; i <= NF; i++) if ($i ~ /^Mb\/s/) speed = $(i - 1); if (speed > 0) seconds = megabases($0) / speed }
    /device memory: plan/ { for (i = 1; i <= NF; i++) { if ($i == "plan") plan = $(i + 1); if ($i == "held") held = $(i + 1) } }
    /host peak/ { host = $3 / 1048576 }
    function megabases(text,    part, count, i) { count = split(text, part, " "); for (i = 1; i <= count; i++) if (part[i] == "Mb,") return part[i - 1] }
    END { fits = plan == "" || (held <= plan * 1.05 && held >= plan * 0.95)
          printf "%-14s %-8s %8.1f %10s %11s %11s  %.1f", name, fits ? "passed" : "FAILED", seconds, speed, plan == "" ? "-" : plan, held == "" ? "-" : held, host }' "$1.log")
  case $table in *FAILED*) verdict=1 ;; esac
}

for one in "${cases[@]}"; do
  case $one in
    both_64x4) run_case both_64x4 bidirectional 64 4 ;;
    both_128x4) run_case both_128x4 bidirectional 128 4 ;;
    causal_256x8) run_case causal_256x8 causal 256 8 ;;
    *) fail "$one" "there is no such case" ;;
  esac
done
echo "$bases bases, $device, $precision"
echo "$table"
exit $verdict
