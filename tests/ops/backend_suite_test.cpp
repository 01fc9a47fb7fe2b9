// The harness judged: what is right passes, what is slightly wrong does not.
#include "tests/ops/backend_suite.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/cpu/cpu_backend.hpp"
#include "tests/ops/bf16_backend.hpp"
#include "tests/ops/ssd_scan_case.hpp"

namespace strandline::test {
namespace {

/// Results of a back end that is right (bf16 tensors around the fast CPU code, which sums in another order), and both
/// yardsticks.
struct Judged {
  Results got, want, plain;

  explicit Judged(const OpCall& call) {
    const auto backend = make_bf16_storage_backend(make_cpu_backend({.threads = 1}));
    got = results_of(*backend, call);
    want = results_of(reference(), call, {.rounded = true});
    plain = results_of(*yardstick_of(*backend), call);
  }
  std::string verdict(const Result& result) const {
    return first_gap(result, named(want, result.name), named(plain, result.name));
  }
  /// The same result with the largest element moved by this many units in the last place of bf16.
  Result moved(const char* name, double units) const {
    Result spoilt = result_named(got, name);
    double& value = *std::max_element(spoilt.value.values.begin(), spoilt.value.values.end(),
                                      [](double a, double b) { return std::fabs(a) < std::fabs(b); });
    value += units * std::ldexp(1.0, std::ilogb(value) - 7);
    return spoilt;
  }
};

OpCall linear_of(std::int64_t summed) {
  return [summed](Stage& stage) {
    const ConstView x = stage.activation(normal({37, 96}, 1));
    const ConstView weight = stage.weight(normal({50, 96}, 2));
    ops::linear(stage.backend(), {.x_ti = x.slice(1, 0, summed),
                                  .weight_oi = weight.slice(1, 0, summed),
                                  .y_to = stage.activation_out("y", {37, 50})});
  };
}

OpCall scan_of(double d) {
  ScanInputs inputs = inputs_of({.lengths = {130, 40}, .heads = 6, .groups = 2, .width = 20, .states = 24});
  for (double& value : inputs.d.values) value += d;
  return forward(inputs);
}

TEST(Bf16Bound, HoldsForWhatIsRightInAnotherOrder) {
  const Judged linear(linear_of(96));
  EXPECT_EQ(linear.verdict(result_named(linear.got, "y")), "");
  const Judged scan(scan_of(0.0));
  EXPECT_EQ(scan.verdict(result_named(scan.got, "y")), "");
  EXPECT_EQ(scan.verdict(result_named(scan.got, "final_state")), "");
}

TEST(Bf16Bound, BreaksForAnElementThatIsThreeUnitsOff) {
  const Judged linear(linear_of(96));
  const Judged scan(scan_of(0.0));
  for (const double units : {-3.0, 3.0}) {
    EXPECT_NE(linear.verdict(linear.moved("y", units)), "");
    EXPECT_NE(scan.verdict(scan.moved("y", units)), "");
  }
}

TEST(Bf16Bound, BreaksForAMissingTerm) {
  const Judged linear(linear_of(96));
  const Judged without_last(linear_of(95));
  EXPECT_NE(linear.verdict(result_named(without_last.got, "y")), "");

  // A skip that is 2 % too strong.
  const Judged scan(scan_of(0.0));
  const Judged skips_more(scan_of(0.02));
  EXPECT_NE(scan.verdict(result_named(skips_more.got, "y")), "");
}

// Weights' gradients and states are in fp32 even then: sums of exact products, to fp32's last places.
TEST(Bf16Bound, AsksForFp32WhereTheResultIsFp32) {
  const Judged linear([](Stage& stage) {
    ops::linear_backward(stage.backend(), {.x_ti = stage.activation(normal({64, 9}, 1)),
                                           .weight_oi = stage.weight(normal({7, 9}, 2)),
                                           .dy_to = stage.activation(normal({64, 7}, 5)),
                                           .dweight_oi = stage.weight_inout("dweight", zeros({7, 9}))});
  });
  EXPECT_EQ(linear.verdict(result_named(linear.got, "dweight")), "");
  EXPECT_NE(linear.verdict(linear.moved("dweight", 0.01)), "");
}

TEST(Bf16Storage, TakesActivationsOfEitherTypeAndRoundsWhatItStores) {
  const auto backend = make_plain_bf16_backend();
  const OpCall one_third = [](Stage& stage) {
    ops::add(stage.backend(), stage.activation(tensor_of({1}, {1.0 / 3})), stage.activation_inout("y", zeros({1})));
  };

  EXPECT_EQ(named(results_of(*backend, one_third), "y").values[0], 0.333984375);
  EXPECT_EQ(named(results_of(*backend, one_third, {.wide = ~0U}), "y").values[0],
            static_cast<double>(static_cast<float>(1.0 / 3)));
}

}  // namespace
}  // namespace strandline::test
