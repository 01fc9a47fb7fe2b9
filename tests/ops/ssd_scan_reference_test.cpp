// The reference of the scan: by hand, against its two other forms, and its gradients against finite differences.
#include <gmock/gmock.h>

#include <cmath>

#include "core/ref/ssd_scan_chunked_ref.hpp"
#include "core/ref/ssd_scan_quadratic_ref.hpp"
#include "core/ref/ssd_scan_ref.hpp"
#include "core/ref/step_size_ref.hpp"
#include "tests/ops/ssd_scan_case.hpp"

namespace strandline::test {
namespace {

TEST(SsdScanReference, OneTokenByHand) {
  // delta = softplus(0.5 - 0.5) = log 2; state = delta * x * b on top of exp(-2 log 2) = 1/4 of the initial state.
  ScanInputs inputs = inputs_of({.lengths = {1}, .heads = 1, .width = 1, .states = 2});
  inputs.x.values = {3.0};
  inputs.dt.values = {0.5};
  inputs.dt_bias.values = {-0.5};
  inputs.a_log.values = {std::log(2.0)};
  inputs.b.values = {1.0, 2.0};
  inputs.c.values = {10.0, 100.0};
  inputs.d.values = {7.0};
  inputs.initial_state.values = {4.0, 8.0};

  const Results got = results_of(reference(), forward(inputs));

  const double ln2 = std::log(2.0);
  EXPECT_THAT(named(got, "final_state").values,
              testing::Pointwise(testing::DoubleNear(1e-15), {1.0 + 3.0 * ln2, 2.0 + 6.0 * ln2}));
  EXPECT_NEAR(named(got, "y").values[0], 10.0 * (1.0 + 3.0 * ln2) + 100.0 * (2.0 + 6.0 * ln2) + 21.0, 1e-12);
}

TEST(SsdScanReference, TwoTokensByHandInBothDirections) {
  // No softplus: delta is dt. exp(delta * a) with a = -1 and delta = log 2 halves the state.
  const double ln2 = std::log(2.0);
  for (const bool reverse : {false, true}) {
    ScanInputs inputs = inputs_of(
        {.lengths = {2}, .heads = 1, .width = 1, .states = 1, .reverse = reverse, .step = {.softplus = false}});
    const std::size_t first = reverse ? 1 : 0;
    const std::size_t second = 1 - first;
    inputs.x.values[first] = 1.0;
    inputs.x.values[second] = 5.0;
    inputs.dt.values = {ln2, ln2};
    inputs.b.values = {1.0, 1.0};
    inputs.c.values = {1.0, 1.0};
    for (HostTensor* zero : {&inputs.dt_bias, &inputs.a_log, &inputs.d, &inputs.initial_state}) zero->values = {0.0};

    const Results got = results_of(reference(), forward(inputs));

    EXPECT_NEAR(named(got, "y").values[first], ln2, 1e-15);
    EXPECT_NEAR(named(got, "y").values[second], ln2 / 2 + 5 * ln2, 1e-15);
    EXPECT_NEAR(named(got, "final_state").values[0], ln2 / 2 + 5 * ln2, 1e-15);
  }
}

/// Largest difference, relative to the largest number of `want`.
double relative_error(const HostTensor& got, const HostTensor& want) {
  double worst = 0.0;
  double largest = 1e-300;
  for (std::size_t i = 0; i < want.values.size(); ++i) {
    worst = std::fmax(worst, std::fabs(got.values[i] - want.values[i]));
    largest = std::fmax(largest, std::fabs(want.values[i]));
  }
  return worst / largest;
}

TEST(SsdScanReference, ThreeFormsAgree) {
  for (const ScanCase& scan : small_scan_cases()) {
    SCOPED_TRACE(to_string(scan));
    const ScanInputs inputs = inputs_of(scan);
    const auto run = [&](void (*form)(const ops::SsdScanArgs&)) {
      return results_of(reference(), [&](Stage& stage) {
        ops::SsdScanArgs args = place_forward(stage, inputs);
        args.y_thp = stage.activation_out("y", inputs.x.shape);
        args.final_state_shpn = stage.weight_out("final_state", inputs.initial_state.shape);
        form(args);
      });
    };

    const Results recurrent = run(ref::ssd_scan<double>);
    const Results quadratic = run(ref::ssd_scan_quadratic);
    const Results chunked = run(ref::ssd_scan_chunked);

    for (const char* output : {"y", "final_state"}) {
      EXPECT_LT(relative_error(named(quadratic, output), named(recurrent, output)), 1e-12) << output;
      EXPECT_LT(relative_error(named(chunked, output), named(recurrent, output)), 1e-12) << output;
    }
  }
}

TEST(SsdScanReference, GradientsByChunksAgreeWithTheRecurrence) {
  for (const ScanCase& scan : small_scan_cases()) {
    SCOPED_TRACE(to_string(scan));
    const ScanInputs inputs = inputs_of(scan);
    const Results recurrent = results_of(reference(), backward(inputs));

    const Results chunked =
        results_of(reference(), [&](Stage& stage) { ref::ssd_scan_chunked_backward(place_backward(stage, inputs)); });

    for (const Result& want : recurrent) {
      EXPECT_LT(relative_error(named(chunked, want.name), want.value), 1e-11) << want.name;
    }
  }
}

TEST(SsdScanReference, StepSizeIsClampedAndItsSlopeIsThenZero) {
  const ops::StepSize step{.softplus = true, .min = 0.5, .max = 2.0};
  EXPECT_EQ(ref::step_value(step, -10.0).delta, 0.5);
  EXPECT_EQ(ref::step_value(step, -10.0).slope, 0.0);
  EXPECT_EQ(ref::step_value(step, 10.0).delta, 2.0);
  EXPECT_EQ(ref::step_value(step, 10.0).slope, 0.0);
  EXPECT_NEAR(ref::step_value(step, 0.0).delta, std::log(2.0), 1e-15);
  EXPECT_NEAR(ref::step_value(step, 0.0).slope, 0.5, 1e-15);
  const ops::StepSize free;
  EXPECT_NEAR(ref::step_value(free, -40.0).delta, std::exp(-40.0), 1e-32);
  EXPECT_EQ(ref::step_value(free, 800.0).delta, 800.0);
  EXPECT_EQ(ref::step_value(free, 800.0).slope, 1.0);
}

/// The inputs of the scan as a list, in the order of gradients_of().
ScanInputs with(ScanInputs inputs, const std::vector<HostTensor>& values) {
  std::size_t next = 0;
  for (HostTensor ScanInputs::*tensor : {&ScanInputs::x, &ScanInputs::dt, &ScanInputs::a_log, &ScanInputs::b,
                                         &ScanInputs::c, &ScanInputs::d, &ScanInputs::dt_bias}) {
    inputs.*tensor = values[next++];
  }
  if (inputs.scan.with_states) inputs.initial_state = values[next];
  return inputs;
}

TEST(SsdScanReference, GradientMatchesFiniteDifferences) {
  for (const ScanCase& scan : tiny_scan_cases()) {
    SCOPED_TRACE(to_string(scan));
    const ScanInputs inputs = inputs_of(scan);
    const Results got = results_of(reference(), backward(inputs));
    std::vector<HostTensor> values{inputs.x, inputs.dt, inputs.a_log, inputs.b, inputs.c, inputs.d, inputs.dt_bias};
    std::vector<HostTensor> gradients;
    for (const char* name : {"dx", "ddt", "da_log", "db", "dc", "dd", "ddt_bias"})
      gradients.push_back(named(got, name));
    if (scan.with_states) {
      values.push_back(inputs.initial_state);
      gradients.push_back(named(got, "dinitial_state"));
    }

    expect_gradients(
        [&](const std::vector<HostTensor>& moved) {
          const Results outputs = results_of(reference(), forward(with(inputs, moved)));
          double loss = inner_product(named(outputs, "y"), inputs.dy);
          if (scan.with_states) loss += inner_product(named(outputs, "final_state"), inputs.dfinal_state);
          return loss;
        },
        values, gradients);
  }
}

}  // namespace
}  // namespace strandline::test
