#!/usr/bin/env bash
# Installs what building and testing need (Debian 12; nothing when all is there), builds, and runs every test.
#   bash tests/run.sh               release build, all tests
#   bash tests/run.sh --sanitize    the same, after a run of all tests under AddressSanitizer and UndefinedBehaviorSanitizer
# Tests that need a GPU, or data that is not at hand, are skipped by name. The last line is CTest's verdict.
set -euo pipefail
cd "$(dirname "$0")/.."

presets=(release)
for argument in "$@"; do
  case $argument in
    --sanitize) presets=(cpu-debug release) ;;
    *) echo "usage: $0 [--sanitize]" >&2; exit 2 ;;
  esac
done

bash apps/install_packages.sh --test
jobs=$(nproc)

status=0
for preset in "${presets[@]}"; do
  cmake --preset "$preset"
  cmake --build --preset "$preset" --parallel "$jobs"
  log=build/$preset/tests.log
  ctest --preset "$preset" --parallel "$jobs" --no-tests=error </dev/null 2>&1 | tee "$log" || status=1
done
echo
grep -E '^[0-9]+% tests passed' "$log"
exit "$status"
