#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/ssd_scan_case.hpp"

namespace strandline::test {
namespace {

// A back end of bf16 rounds the operands of the products of the chunked form, and so does the plain version; rounding
// the inputs is part of that, so the truth is that of the unrounded ones.
constexpr Bf16Agreement kFromUnrounded{.types = Types::narrow, .from_stored = false};

class SsdScanGradient : public BackendSuite {};

// Sums over all tokens are one number per head. In fp32 their errors are within the bound's two units in the last place
// even for two heads; those of bf16 can be compared only as a sample.
OpCall comparable_backward(const Backend& backend, const ScanInputs& inputs) {
  if (backend.dtype() != DType::bf16 || inputs.scan.heads >= 10) return backward(inputs);
  return [inputs](Stage& stage) {
    ops::SsdScanBackwardArgs args = place_backward(stage, inputs);
    args.da_log_h = args.dd_h = args.ddt_bias_h = {};
    ops::ssd_scan_backward(stage.backend(), args);
  };
}

TEST_P(SsdScanGradient, AgreesWithTheReferenceOnAwkwardShapes) {
  if (GetParam().name == "ref") return;  // it would be compared with itself
  for (const ScanCase& scan : scan_cases()) {
    SCOPED_TRACE(to_string(scan));
    expect_agreement(backend(), comparable_backward(backend(), inputs_of(scan)), kFromUnrounded);
  }
}

TEST_P(SsdScanGradient, AgreesWithTheReferenceWhenThePackNeedsSeveralSpans) {
  if (GetParam().name == "ref") return;
  // 12 heads of 64 x 128 are 0.8 MB of states per chunk: spans of 64 MB end inside the long sequences.
  expect_agreement(
      backend(),
      backward(inputs_of({.lengths = {90, 0, 40, 7, 60}, .heads = 12, .width = 64, .states = 128, .chunk = 1})),
      kFromUnrounded);
}

TEST_P(SsdScanGradient, KeepsSequencesApart) {
  const ScanInputs pack = inputs_of({.lengths = {70, 0, 1, 130},
                                     .heads = 4,
                                     .groups = 2,
                                     .width = 24,
                                     .states = 12,
                                     .chunk = 32,
                                     .with_states = false});
  const Results all = results_of(backend(), backward(pack));
  for (std::size_t s = 1; s < pack.seq_begin.size(); ++s) {
    const std::int64_t begin = pack.seq_begin[s - 1];
    const std::int64_t end = pack.seq_begin[s];
    const Results alone = results_of(backend(), backward(piece_of(pack, begin, end)));
    for (const char* name : {"dx", "ddt", "db", "dc"}) {
      EXPECT_EQ(first_difference(named(alone, name), named(all, name).rows(begin, end)), "") << name << " " << s;
    }
  }
}

TEST_P(SsdScanGradient, FlowsThroughACarriedStateWithTheSameBits) {
  const ScanInputs inputs = inputs_of({.lengths = {150}, .heads = 3, .width = 40, .states = 20, .chunk = 32});
  const Results whole = results_of(backend(), backward(inputs));
  ScanInputs first = piece_of(inputs, 0, 64);
  ScanInputs second = piece_of(inputs, 64, 150);
  first.scan.with_states = second.scan.with_states = true;
  second.initial_state = named(results_of(backend(), forward(first)), "final_state");
  const Results tail = results_of(backend(), backward(second));
  first.dfinal_state = named(tail, "dinitial_state");
  const Results head = results_of(backend(), backward(first));
  for (const char* name : {"dx", "ddt", "db", "dc"}) {
    EXPECT_EQ(first_difference(named(head, name), named(whole, name).rows(0, 64)), "") << name;
    EXPECT_EQ(first_difference(named(tail, name), named(whole, name).rows(64, 150)), "") << name;
  }
  EXPECT_EQ(first_difference(named(head, "dinitial_state"), named(whole, "dinitial_state")), "");
}

TEST_P(SsdScanGradient, GivesTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_threads(backward(inputs_of({.lengths = {1500}, .heads = 2, .width = 100, .states = 30})));
  expect_same_bits_for_any_threads(backward(inputs_of({.lengths = std::vector<std::int64_t>(40, 37),
                                                       .heads = 6,
                                                       .groups = 3,
                                                       .width = 16,
                                                       .states = 16,
                                                       .reverse = true})));
}

TEST_P(SsdScanGradient, AddsToTheGradientsOfParametersAndOverwritesTheOthers) {
  const ScanInputs inputs = inputs_of({.lengths = {40}, .heads = 3, .width = 4, .states = 4});
  const Results once = results_of(backend(), backward(inputs));
  const Results twice = results_of(backend(), [&](Stage& stage) {
    const ops::SsdScanBackwardArgs args = place_backward(stage, inputs);
    ops::ssd_scan_backward(stage.backend(), args);
    ops::ssd_scan_backward(stage.backend(), args);
  });
  for (const char* name : {"dx", "ddt", "db", "dc", "dinitial_state"}) {
    EXPECT_EQ(first_difference(named(twice, name), named(once, name)), "") << name;
  }
  for (const char* name : {"da_log", "dd", "ddt_bias"}) {
    for (std::size_t h = 0; h < 3; ++h) {
      const double single = named(once, name).values[h];
      // The reference in double adds token by token, so that twice the sum is not the sum twice to the last bit.
      EXPECT_NEAR(named(twice, name).values[h], 2 * single, 1e-6 * std::fabs(single)) << name;
    }
  }
}

TEST_P(SsdScanGradient, LeavesAbsentGradientsOut) {
  const ScanInputs inputs = inputs_of({.lengths = {80}, .heads = 4, .groups = 2, .chunk = 32});
  const Results all = results_of(backend(), backward(inputs));
  const Results only_x = results_of(backend(), [&](Stage& stage) {
    ops::ssd_scan_backward(stage.backend(), {.forward = place_forward(stage, inputs),
                                             .dy_thp = stage.activation(inputs.dy),
                                             .dfinal_state_shpn = stage.weight(inputs.dfinal_state),
                                             .dx_thp = stage.activation_out("dx", inputs.x.shape)});
  });
  EXPECT_EQ(first_difference(named(only_x, "dx"), named(all, "dx")), "");
  const Results only_c = results_of(backend(), [&](Stage& stage) {
    ops::ssd_scan_backward(stage.backend(), {.forward = place_forward(stage, inputs),
                                             .dy_thp = stage.activation(inputs.dy),
                                             .dfinal_state_shpn = stage.weight(inputs.dfinal_state),
                                             .dc_tgn = stage.activation_out("dc", inputs.c.shape)});
  });
  EXPECT_EQ(first_difference(named(only_c, "dc"), named(all, "dc")), "");
}

TEST_P(SsdScanGradient, IsZeroForClampedSteps) {
  ScanInputs inputs = inputs_of({.lengths = {40}, .heads = 2, .step = {.min = 0.5, .max = 0.6}});
  for (std::size_t i = 0; i < inputs.dt.values.size(); ++i) inputs.dt.values[i] = i % 2 == 0 ? -5.0 : 5.0;
  const Results got = results_of(backend(), backward(inputs));
  EXPECT_THAT(named(got, "ddt").values, testing::Each(0.0));
  EXPECT_THAT(named(got, "ddt_bias").values, testing::Each(0.0));
  EXPECT_THAT(named(got, "da_log").values, testing::Not(testing::Contains(0.0)));
}

TEST_P(SsdScanGradient, RefusesGradientsOfAnotherShape) {
  const ScanInputs inputs = inputs_of({.lengths = {6}, .heads = 4, .groups = 2, .width = 3, .states = 5});
  Stage stage(backend());
  ops::SsdScanBackwardArgs args = place_backward(stage, inputs);
  args.db_tgn = stage.activation_out("db", {6, 4, 5});
  EXPECT_THAT(contract_message([&] { ops::ssd_scan_backward(backend(), args); }),
              testing::AllOf(testing::HasSubstr("ssd_scan_backward"), testing::HasSubstr("db"),
                             testing::HasSubstr("[6, 4, 5]"), testing::HasSubstr("[6, 2, 5]")));
}

INSTANTIATE_TEST_SUITE_P(BackEnds, SsdScanGradient, testing::ValuesIn(back_ends()), name_of_case);

}  // namespace
}  // namespace strandline::test
