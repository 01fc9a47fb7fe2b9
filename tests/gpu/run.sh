#!/usr/bin/env bash
# The GPU's tests on a bare machine with a card, from programs that were built elsewhere:
#   bash tests/gpu/run.sh [--programs DIR] [--libraries DIR] [--only PART]... [--log DIR]
# --programs   the build folder, or a folder with ops_tests, cuda_tests, cuda_memory_tests and strandline (default: build/release)
# --libraries  added to LD_LIBRARY_PATH: cuBLASLt, HTSlib, ... where the machine lacks them
# --only       suites, sanitizer, long, resume, reads, chromosome or bench; may be given again (default: all)
# --log        where the output of each part goes (default: a new folder under /tmp)
# --memory     GiB of device memory that the benchmark may take (default: what the card has)
# Nothing is skipped for want of a GPU: that is a failure. A tool or program that is missing is "not run". The table
# comes last; the exit status is 1 when a part has failed.
set -uo pipefail

programs=build/release libraries="" log="" memory=""
only=()
while [ $# -gt 0 ]; do
  case $1 in
    --programs) programs=$2; shift 2 ;;
    --libraries) libraries=$2; shift 2 ;;
    --only) only+=("$2"); shift 2 ;;
    --log) log=$2; shift 2 ;;
    --memory) memory=$2; shift 2 ;;
    *) sed -n '2,11s/^# //p' "$0" >&2; exit 2 ;;
  esac
done
[ ${#only[@]} -gt 0 ] || only=(suites sanitizer long resume reads chromosome bench)
for part in "${only[@]}"; do
  case $part in suites|sanitizer|long|resume|reads|chromosome|bench) ;; *) echo "there is no part '$part'" >&2; exit 2 ;; esac
done
[ -n "$log" ] || log=$(mktemp -d /tmp/strandline_gpu.XXXXXX)
mkdir -p "$log"
[ -z "$libraries" ] || export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export STRANDLINE_REQUIRE_GPU=1

# The program of this name, wherever the build has put it; nothing when there is none.
find_program() {
  local place
  for place in "$programs/$1" "$programs/tests/ops/$1" "$programs/tests/cuda/$1" "$programs/apps/cli/$1"; do
    [ -f "$place" ] && [ -x "$place" ] && { echo "$place"; return; }
  done
}

wants() { local part; for part in "${only[@]}"; do [ "$part" = "$1" ] && return; done; return 1; }

rows=() failed=0
row() { rows+=("$(printf '%-34s %-9s %7s  %s' "$1" "$2" "$3" "$4")"); }

# run NAME SECONDS PROGRAM ARGUMENT...: under a timeout, into its own log; one row of the table.
run() {
  local name=$1 limit=$2 status began ended verdict note
  shift 2
  if [ -z "$1" ]; then row "$name" "not run" "-" "no such program under $programs"; return; fi
  echo "== $name" >&2
  began=$(date +%s)
  timeout --kill-after=20 "$limit" "$@" >"$log/$name.log" 2>&1 </dev/null
  status=$?
  ended=$(date +%s)
  note=$(grep -aE '^\[  (PASSED|FAILED)  \] [0-9]+ test|^\[  SKIPPED \] [0-9]+ test|ERROR SUMMARY' "$log/$name.log" |
    sed 's/^=* *//; s/[][]//g; s/  */ /g' | paste -sd ';' | cut -c1-100)
  case $status in
    0) verdict=passed ;;
    124|137) verdict=failed note="stopped after $limit s" failed=1 ;;
    *) verdict=failed note="status $status; $note" failed=1 ;;
  esac
  row "$name" "$verdict" "$((ended - began)) s" "$note"
  [ "$verdict" = passed ] || tail -n 40 "$log/$name.log" >&2
}

ops=$(find_program ops_tests) cuda=$(find_program cuda_tests) memory_tests=$(find_program cuda_memory_tests)
strandline=$(find_program strandline)
long_cases='On/Long*'
model_cases='On/LongModel*'

if wants suites; then
  run ops_fp32 600 "$ops" --gtest_filter='*/cuda'
  run ops_bf16 600 "$ops" --gtest_filter='*/cuda_bf16'
  run memory 120 "$memory_tests"
  run model 600 "$cuda" --gtest_filter="-$long_cases"
fi

# Small shapes: a tool slows a kernel down by 10 to 100 times, and one run of each operation shows all of its accesses.
if wants sanitizer; then
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | tail -n 1)
  small='*KeepsSequencesApart/cuda*:*WorksInPlace/cuda*:*LeavesAbsent*/cuda*:*GivesARowTheSameBits*/cuda*'
  small+=':*LooksRowsUp/cuda*:*AddsGradients*/cuda*:On/Adamw.AgreesWithTheReference/cuda*:*SumsSquaresInDouble/cuda*'
  small+=':On/CrossEntropy.AgreesWithTheReference/cuda*:On/PseudoInverse.AgreesWithTheReference/cuda*'
  small+=':On/GridConv.AgreesWithTheReferenceOnAwkwardShapes/cuda*:On/Attention.SoftmaxAgreesWithTheReference/cuda*'
  small+=':*FlowsThroughACarriedState*/cuda*:*EmptySequencesHandTheirStateOn/cuda*:*ReversedEqualsFlippedInput/cuda*'
  small+=':On/Elementwise.*AgreesWithTheReference/cuda*:On/Elementwise.Adds*/cuda*:On/Activation.WorksInPlace/cuda*'
  small+=':On/Pool.SendsTheGradient*/cuda*:On/Pool.WeighsTokens*/cuda*:On/Pool.TakesTheMean*/cuda*'
  small+=':On/Linear.GradientsAgree*/cuda*:On/LayerNorm.LeavesAbsent*/cuda*:On/Norm.GatesBeforeOrAfter/cuda*'
  for tool in memcheck racecheck initcheck synccheck; do
    if [ -z "$sanitizer" ]; then row "$tool" "not run" "-" "no compute-sanitizer on this machine"; continue; fi
    options=(--tool "$tool" --error-exitcode 9 --print-limit 20)
    [ "$tool" != memcheck ] || options+=(--padding 64)
    run "${tool}_ops" 300 ${ops:+"$sanitizer" "${options[@]}"} "$ops" --gtest_filter="$small"
    run "${tool}_model" 300 ${cuda:+"$sanitizer" "${options[@]}"} "$cuda" \
      --gtest_filter='*RepeatsATrainingStepToTheBit/Cuda*:*HasTheSameBitsInTraining/Cuda*'
  done
fi

if wants long; then
  run long_offsets 600 "$cuda" --gtest_filter="$long_cases:-$model_cases"
  run long_model 600 "$cuda" --gtest_filter="$model_cases"
fi

# Stories of the whole program; each has a timeout of its own for every step.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
story() {  # name seconds script argument...
  local name=$1
  run "$name" "$2" "${strandline:+bash}" "$here/$3" "$strandline" "${@:4}"
  [ ! -f "$log/$name.log" ] || cat "$log/$name.log"
}
export KILL_RESUME_STEPS=3000  # a card takes the script's tiny model through the usual number before a signal can come
wants resume && story resume 300 ../apps/kill_resume.sh 8 1 --device cuda
wants resume && story resume_bf16 300 ../apps/kill_resume.sh 4 2 --device cuda --precision bf16
wants reads && story reads 400 reads.sh
wants chromosome && story chromosome 900 chromosome.sh

if wants bench; then
  run bench 600 "$strandline" bench --device cuda --precision bf16 ${memory:+--memory "${memory}G"}
  [ ! -f "$log/bench.log" ] || cat "$log/bench.log"
fi

card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 1)
echo
echo "GPU: ${card:-unknown}; logs: $log"
printf '%-34s %-9s %7s  %s\n' part verdict time note
printf '%s\n' "${rows[@]}"
exit "$failed"
