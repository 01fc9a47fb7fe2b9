#include "tests/ops/ssd_scan_case.hpp"

#include <cmath>
#include <sstream>

namespace strandline::test {
namespace {

Shape state_shape(const ScanInputs& inputs) {
  const ScanCase& scan = inputs.scan;
  return {static_cast<std::int64_t>(inputs.seq_begin.size()) - 1, scan.heads, scan.width, scan.states};
}

}  // namespace

std::string to_string(const ScanCase& scan) {
  std::ostringstream text;
  text << "lengths";
  for (const std::int64_t length : scan.lengths) text << " " << length;
  text << ", H " << scan.heads << ", G " << scan.groups << ", P " << scan.width << ", N " << scan.states << ", chunk "
       << scan.chunk << (scan.reverse ? ", reverse" : "") << (scan.with_states ? ", states" : "") << ", dt "
       << scan.dt_offset << ", a_log " << scan.a_log_offset;
  return text.str();
}

ScanInputs inputs_of(const ScanCase& scan) {
  ScanInputs inputs;
  inputs.scan = scan;
  inputs.seq_begin = offsets_of(scan.lengths);
  const std::int64_t t = inputs.seq_begin.back();
  const double unit = 1.0 / std::sqrt(static_cast<double>(scan.states));
  inputs.x = normal({t, scan.heads, scan.width}, 1);
  inputs.dt = normal({t, scan.heads}, 2, -2 + scan.dt_offset);
  inputs.a_log = normal({scan.heads}, 3, scan.a_log_offset);
  inputs.b = normal({t, scan.groups, scan.states}, 4, 0, unit);
  inputs.c = normal({t, scan.groups, scan.states}, 5, 0, unit);
  inputs.d = normal({scan.heads}, 6, 1, 0.5);
  inputs.dt_bias = normal({scan.heads}, 7, 0, 0.5);
  inputs.initial_state = normal(state_shape(inputs), 8);
  inputs.dy = normal({t, scan.heads, scan.width}, 9);
  inputs.dfinal_state = normal(state_shape(inputs), 10);
  return inputs;
}

ScanInputs piece_of(const ScanInputs& inputs, std::int64_t begin, std::int64_t end) {
  ScanInputs piece = inputs;
  piece.scan.lengths = {end - begin};
  piece.scan.with_states = false;
  piece.seq_begin = {0, end - begin};
  for (HostTensor ScanInputs::*tensor :
       {&ScanInputs::x, &ScanInputs::dt, &ScanInputs::b, &ScanInputs::c, &ScanInputs::dy}) {
    piece.*tensor = (inputs.*tensor).rows(begin, end);
  }
  return piece;
}

ops::SsdScanArgs place_forward(Stage& stage, const ScanInputs& inputs) {
  ops::SsdScanArgs args{.x_thp = stage.activation(inputs.x),
                        .dt_th = stage.activation(inputs.dt),
                        .a_log_h = stage.weight(inputs.a_log),
                        .b_tgn = stage.activation(inputs.b),
                        .c_tgn = stage.activation(inputs.c),
                        .d_h = stage.weight(inputs.d),
                        .dt_bias_h = stage.weight(inputs.dt_bias),
                        .step = inputs.scan.step,
                        .seq_begin = inputs.seq_begin,
                        .reverse = inputs.scan.reverse,
                        .chunk = inputs.scan.chunk,
                        .y_thp = {}};
  if (inputs.scan.with_states) args.initial_state_shpn = stage.weight(inputs.initial_state);
  return args;
}

ops::SsdScanBackwardArgs place_backward(Stage& stage, const ScanInputs& inputs) {
  ops::SsdScanBackwardArgs args{.forward = place_forward(stage, inputs),
                                .dy_thp = stage.activation(inputs.dy),
                                .dx_thp = stage.activation_out("dx", inputs.x.shape),
                                .ddt_th = stage.activation_out("ddt", inputs.dt.shape),
                                .da_log_h = stage.weight_inout("da_log", zeros(inputs.a_log.shape)),
                                .db_tgn = stage.activation_out("db", inputs.b.shape),
                                .dc_tgn = stage.activation_out("dc", inputs.c.shape),
                                .dd_h = stage.weight_inout("dd", zeros(inputs.d.shape)),
                                .ddt_bias_h = stage.weight_inout("ddt_bias", zeros(inputs.dt_bias.shape))};
  if (inputs.scan.with_states) {
    args.dfinal_state_shpn = stage.weight(inputs.dfinal_state);
    args.dinitial_state_shpn = stage.weight_out("dinitial_state", inputs.initial_state.shape);
  }
  return args;
}

OpCall forward(const ScanInputs& inputs) {
  return [inputs](Stage& stage) {
    ops::SsdScanArgs args = place_forward(stage, inputs);
    args.y_thp = stage.activation_out("y", inputs.x.shape);
    if (inputs.scan.with_states) args.final_state_shpn = stage.weight_out("final_state", state_shape(inputs));
    ops::ssd_scan(stage.backend(), args);
  };
}

OpCall backward(const ScanInputs& inputs) {
  return [inputs](Stage& stage) { ops::ssd_scan_backward(stage.backend(), place_backward(stage, inputs)); };
}

std::vector<ScanCase> tiny_scan_cases() {
  return {
      {.lengths = {5}, .heads = 2, .groups = 1, .width = 3, .states = 2, .chunk = 2},
      {.lengths = {3, 0, 1}, .heads = 4, .groups = 2, .width = 2, .states = 3, .chunk = 4, .reverse = true},
      {.lengths = {4, 2}, .heads = 1, .width = 2, .states = 2, .chunk = 3, .with_states = false},
      {.lengths = {6}, .heads = 2, .width = 2, .states = 2, .step = {.softplus = false}, .dt_offset = 3},
      // About half of the steps are clamped, on either side.
      {.lengths = {8}, .heads = 2, .width = 2, .states = 2, .step = {.min = 0.08, .max = 0.3}},
  };
}

std::vector<ScanCase> small_scan_cases() {
  std::vector<ScanCase> cases = tiny_scan_cases();
  for (const std::int64_t length : {0, 1, 7, 8, 9, 31}) {
    for (const bool reverse : {false, true}) {
      cases.push_back({.lengths = {length}, .heads = 11, .width = 5, .states = 6, .chunk = 8, .reverse = reverse});
    }
  }
  cases.push_back({.lengths = {1, 0, 17, 8, 40}, .heads = 6, .groups = 3, .width = 4, .states = 7, .chunk = 8});
  cases.push_back({.lengths = {50}, .heads = 10, .width = 4, .states = 4, .chunk = 8, .a_log_offset = 6});
  cases.push_back({.lengths = {50}, .heads = 10, .width = 4, .states = 4, .chunk = 8, .dt_offset = 30});
  return cases;
}

// Ten heads and more: the errors of sums over all tokens, one number per head, are only comparable as a sample.
std::vector<ScanCase> scan_cases() {
  std::vector<ScanCase> cases = small_scan_cases();
  const std::int64_t q = 64;
  for (const std::int64_t length : {std::int64_t{0}, std::int64_t{1}, q - 1, q, q + 1, 3 * q + 7}) {
    for (const bool reverse : {false, true}) {
      cases.push_back({.lengths = {length}, .heads = 10, .width = 20, .states = 32, .reverse = reverse});
    }
  }
  const std::vector<std::int64_t> ragged = {5, 0, 64, 1, 130, 63, 100};
  cases.push_back({.lengths = ragged, .heads = 10, .width = 32, .states = 24, .with_states = false});
  cases.push_back({.lengths = ragged, .heads = 15, .groups = 3, .width = 16, .states = 16, .reverse = true});
  cases.push_back({.lengths = ragged, .heads = 12, .groups = 12, .width = 33, .states = 18, .chunk = 48});
  for (const std::int64_t width : {64, 128}) {
    cases.push_back({.lengths = {100}, .heads = 10, .width = width, .states = 64});
  }
  for (const std::int64_t states : {128, 256}) {
    cases.push_back({.lengths = {100}, .heads = 10, .width = 32, .states = states});
  }
  for (const std::int64_t chunk : {1, 16, 100, 256, 1 << 30}) {
    cases.push_back({.lengths = {220}, .heads = 12, .width = 16, .states = 16, .chunk = chunk});
  }
  const auto step_case = [&](double dt_offset, double a_log_offset, ops::StepSize step) {
    cases.push_back({.lengths = {110, 70},
                     .heads = 12,
                     .width = 16,
                     .states = 16,
                     .step = step,
                     .dt_offset = dt_offset,
                     .a_log_offset = a_log_offset});
  };
  step_case(25, -3, {});  // softplus in its linear range
  step_case(-20, 0, {});  // steps near 1e-10
  step_case(0, 6, {});    // decay that underflows within a few tokens
  step_case(20, 8, {});   // decay that underflows in one token
  step_case(0, 0, {.min = 0.05, .max = 0.2});
  step_case(2.5, 0, {.softplus = false, .min = 0.001});
  return cases;
}

}  // namespace strandline::test
