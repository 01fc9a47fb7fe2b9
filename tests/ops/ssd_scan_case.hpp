// Shapes, data and calls of the scan's tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ops/ssd_scan.hpp"
#include "tests/ops/backend_suite.hpp"

namespace strandline::test {

struct ScanCase {
  std::vector<std::int64_t> lengths;
  std::int64_t heads = 2;
  std::int64_t groups = 1;
  std::int64_t width = 16;
  std::int64_t states = 16;
  std::int64_t chunk = 64;
  bool reverse = false;
  ops::StepSize step{};
  bool with_states = true;    ///< initial state, final state, and the gradient of the final state
  double dt_offset = 0.0;     ///< added to dt: large ones give large steps
  double a_log_offset = 0.0;  ///< added to a_log: large ones give strong decay
};

std::string to_string(const ScanCase& scan);

struct ScanInputs {
  ScanCase scan;
  std::vector<std::int64_t> seq_begin;
  HostTensor x, dt, a_log, b, c, d, dt_bias, initial_state, dy, dfinal_state;
};

ScanInputs inputs_of(const ScanCase& scan);

/// Tokens [begin, end) as a pack of one sequence, without states; they must lie inside one sequence.
ScanInputs piece_of(const ScanInputs& inputs, std::int64_t begin, std::int64_t end);

/// Inputs and outputs on the stage; y and final_state are the outputs of forward. `inputs` must outlive the call.
ops::SsdScanArgs place_forward(Stage& stage, const ScanInputs& inputs);
ops::SsdScanBackwardArgs place_backward(Stage& stage, const ScanInputs& inputs);

OpCall forward(const ScanInputs& inputs);
OpCall backward(const ScanInputs& inputs);

/// Small enough for finite differences over every input.
std::vector<ScanCase> tiny_scan_cases();
/// Small enough for the quadratic form.
std::vector<ScanCase> small_scan_cases();
/// Awkward lengths, packs, groups, heads, widths and steps: what every back end must get right.
std::vector<ScanCase> scan_cases();

}  // namespace strandline::test
