// The reference of the scan: by hand, against its two other forms, and its gradients against finite differences.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/ref/ssd_scan_chunked_ref.hpp"
#include "core/ref/ssd_scan_quadratic_ref.hpp"
#include "core/ref/ssd_scan_ref.hpp"
#include "core/ref/step_size_ref.hpp"
#include "tests/ops/ssd_scan_case.hpp"

namespace strandline {
namespace {

using test::ScanCase;
using test::ScanData;
using test::ScanGradients;

TEST(SsdScanReference, OneTokenByHand) {
  // delta = softplus(0.5 - 0.5) = log 2; state = delta * x * b on top of exp(-2 log 2) = 1/4 of the initial state.
  ScanData<double> data({.lengths = {1}, .heads = 1, .groups = 1, .width = 1, .states = 2});
  data.x = {3.0};
  data.dt = {0.5};
  data.dt_bias = {-0.5};
  data.a_log = {std::log(2.0)};
  data.b = {1.0, 2.0};
  data.c = {10.0, 100.0};
  data.d = {7.0};
  data.initial_state = {4.0, 8.0};

  ref::ssd_scan<double>(data.forward());

  const double ln2 = std::log(2.0);
  EXPECT_THAT(data.final_state, testing::Pointwise(testing::DoubleNear(1e-15), {1.0 + 3.0 * ln2, 2.0 + 6.0 * ln2}));
  EXPECT_NEAR(data.y[0], 10.0 * (1.0 + 3.0 * ln2) + 100.0 * (2.0 + 6.0 * ln2) + 21.0, 1e-12);
}

TEST(SsdScanReference, TwoTokensByHandInBothDirections) {
  // No softplus: delta is dt. exp(delta * a) with a = -1 and delta = log 2 halves the state.
  const double ln2 = std::log(2.0);
  for (const bool reverse : {false, true}) {
    ScanData<double> data({.lengths = {2},
                           .heads = 1,
                           .groups = 1,
                           .width = 1,
                           .states = 1,
                           .reverse = reverse,
                           .step = {.softplus = false},
                           .with_initial_state = false});
    const std::size_t first = reverse ? 1 : 0;
    const std::size_t second = 1 - first;
    data.x[first] = 1.0;
    data.x[second] = 5.0;
    data.dt = {ln2, ln2};
    data.dt_bias = {0.0};
    data.a_log = {0.0};
    data.b = {1.0, 1.0};
    data.c = {1.0, 1.0};
    data.d = {0.0};

    ref::ssd_scan<double>(data.forward());

    EXPECT_NEAR(data.y[first], ln2, 1e-15);
    EXPECT_NEAR(data.y[second], ln2 / 2 + 5 * ln2, 1e-15);
    EXPECT_NEAR(data.final_state[0], ln2 / 2 + 5 * ln2, 1e-15);
  }
}

TEST(SsdScanReference, ThreeFormsAgree) {
  for (const ScanCase& scan : test::small_scan_cases()) {
    SCOPED_TRACE(to_string(scan));
    ScanData<double> recurrent(scan);
    ScanData<double> quadratic(scan);
    ScanData<double> chunked(scan);

    ref::ssd_scan<double>(recurrent.forward());
    ref::ssd_scan_quadratic(quadratic.forward());
    ref::ssd_scan_chunked(chunked.forward());

    EXPECT_LT(test::relative_error(quadratic.y, recurrent.y), 1e-12);
    EXPECT_LT(test::relative_error(chunked.y, recurrent.y), 1e-12);
    EXPECT_LT(test::relative_error(quadratic.final_state, recurrent.final_state), 1e-12);
    EXPECT_LT(test::relative_error(chunked.final_state, recurrent.final_state), 1e-12);
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

/// loss = <dy, y> + <dfinal_state, final_state>
double loss_of(ScanData<double>& data) {
  ref::ssd_scan<double>(data.forward());
  double loss = 0.0;
  for (std::size_t i = 0; i < data.y.size(); ++i) loss += data.dy[i] * data.y[i];
  for (std::size_t i = 0; i < data.final_state.size(); ++i) loss += data.dfinal_state[i] * data.final_state[i];
  return loss;
}

/// Central differences with two step widths, extrapolated: the error is of fourth order.
double slope_of(ScanData<double>& data, double& input) {
  const double kept = input;
  const auto central = [&](double width) {
    input = kept + width;
    const double above = loss_of(data);
    input = kept - width;
    const double below = loss_of(data);
    input = kept;
    return (above - below) / (2 * width);
  };
  const double width = 1e-3;
  return (4 * central(width / 2) - central(width)) / 3;
}

TEST(SsdScanReference, GradientMatchesFiniteDifferences) {
  for (ScanCase scan : test::tiny_scan_cases()) {
    SCOPED_TRACE(to_string(scan));
    ScanData<double> data(scan);
    ScanGradients<double> gradients(data);
    ref::ssd_scan_backward<double>(gradients.backward(data));

    const auto check = [&](const char* name, std::vector<double>& input, const std::vector<double>& gradient) {
      ASSERT_EQ(input.size(), gradient.size()) << name;
      double scale = 1e-3;
      for (const double g : gradient) scale = std::fmax(scale, std::fabs(g));
      for (std::size_t i = 0; i < input.size(); ++i) {
        EXPECT_NEAR(gradient[i], slope_of(data, input[i]), 1e-8 * scale) << name << "[" << i << "]";
      }
    };
    check("x", data.x, gradients.dx);
    check("dt", data.dt, gradients.ddt);
    check("a_log", data.a_log, gradients.da_log);
    check("b", data.b, gradients.db);
    check("c", data.c, gradients.dc);
    check("d", data.d, gradients.dd);
    check("dt_bias", data.dt_bias, gradients.ddt_bias);
    if (scan.with_initial_state) check("initial_state", data.initial_state, gradients.dinitial_state);
  }
}

}  // namespace
}  // namespace strandline
