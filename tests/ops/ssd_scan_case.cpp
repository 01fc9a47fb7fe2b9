#include "tests/ops/ssd_scan_case.hpp"

#include <sstream>

namespace strandline::test {

std::string to_string(const ScanCase& scan) {
  std::ostringstream text;
  text << "lengths";
  for (const std::int64_t length : scan.lengths) text << " " << length;
  text << ", H " << scan.heads << ", G " << scan.groups << ", P " << scan.width << ", N " << scan.states << ", chunk "
       << scan.chunk << (scan.reverse ? ", reverse" : "") << (scan.with_initial_state ? ", initial state" : "")
       << ", dt " << scan.dt_offset << ", a_log " << scan.a_log_offset;
  return text.str();
}

std::vector<ScanCase> tiny_scan_cases() {
  return {
      {.lengths = {5}, .heads = 2, .groups = 1, .width = 3, .states = 2, .chunk = 2},
      {.lengths = {3, 0, 1}, .heads = 4, .groups = 2, .width = 2, .states = 3, .chunk = 4, .reverse = true},
      {.lengths = {4, 2}, .heads = 1, .width = 2, .states = 2, .chunk = 3, .with_initial_state = false},
      {.lengths = {6}, .heads = 2, .width = 2, .states = 2, .step = {.softplus = false}, .dt_offset = 3},
      // About half of the steps are clamped, on either side.
      {.lengths = {8}, .heads = 2, .width = 2, .states = 2, .step = {.min = 0.08, .max = 0.3}},
  };
}

std::vector<ScanCase> small_scan_cases() {
  std::vector<ScanCase> cases = tiny_scan_cases();
  for (const std::int64_t length : {0, 1, 7, 8, 9, 31}) {
    for (const bool reverse : {false, true}) {
      cases.push_back({.lengths = {length}, .heads = 3, .width = 5, .states = 6, .chunk = 8, .reverse = reverse});
    }
  }
  cases.push_back({.lengths = {1, 0, 17, 8, 40}, .heads = 6, .groups = 3, .width = 4, .states = 7, .chunk = 8});
  cases.push_back({.lengths = {50}, .heads = 2, .width = 4, .states = 4, .chunk = 8, .a_log_offset = 6});
  cases.push_back({.lengths = {50}, .heads = 2, .width = 4, .states = 4, .chunk = 8, .dt_offset = 30});
  return cases;
}

std::vector<ScanCase> scan_cases() {
  std::vector<ScanCase> cases = small_scan_cases();
  const std::int64_t q = 64;
  for (const std::int64_t length : {std::int64_t{0}, std::int64_t{1}, q - 1, q, q + 1, 3 * q + 7}) {
    for (const bool reverse : {false, true}) {
      cases.push_back({.lengths = {length}, .heads = 3, .width = 64, .states = 32, .reverse = reverse});
    }
  }
  const std::vector<std::int64_t> ragged = {5, 0, 64, 1, 130, 63, 200};
  cases.push_back({.lengths = ragged, .heads = 5, .width = 32, .states = 64, .with_initial_state = false});
  cases.push_back({.lengths = ragged, .heads = 9, .groups = 3, .width = 16, .states = 16, .reverse = true});
  cases.push_back({.lengths = ragged, .heads = 4, .groups = 4, .width = 33, .states = 18, .chunk = 48});
  for (const std::int64_t width : {16, 32, 64, 128}) {
    cases.push_back({.lengths = {150}, .heads = 2, .width = width, .states = 128});
  }
  for (const std::int64_t states : {16, 64, 256}) {
    cases.push_back({.lengths = {150}, .heads = 2, .width = 64, .states = states});
  }
  for (const std::int64_t chunk : {1, 16, 100, 128, 256}) {
    cases.push_back({.lengths = {300}, .heads = 2, .width = 32, .states = 32, .chunk = chunk});
  }
  const auto step_case = [&](double dt_offset, double a_log_offset, ops::StepSize step) {
    cases.push_back({.lengths = {150, 70},
                     .heads = 3,
                     .width = 32,
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
