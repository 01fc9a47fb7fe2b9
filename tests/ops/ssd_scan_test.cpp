#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "tests/ops/ssd_scan_case.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

class SsdScan : public BackendSuite {};

HostTensor output(Backend& backend, const ScanInputs& inputs, const char* name) {
  return named(results_of(backend, forward(inputs)), name);
}

/// Rows of each sequence in the opposite order.
HostTensor flipped(const HostTensor& tensor, const std::vector<std::int64_t>& seq_begin) {
  HostTensor turned = tensor;
  const auto tokens = static_cast<std::size_t>(tensor.shape[0]);
  const auto width = static_cast<std::ptrdiff_t>(tokens == 0 ? 0 : tensor.values.size() / tokens);
  for (std::size_t s = 1; s < seq_begin.size(); ++s) {
    for (std::int64_t t = seq_begin[s - 1]; t < seq_begin[s]; ++t) {
      const std::int64_t other = seq_begin[s - 1] + seq_begin[s] - 1 - t;
      std::copy_n(tensor.values.begin() + t * width, width, turned.values.begin() + other * width);
    }
  }
  return turned;
}

TEST_P(SsdScan, AgreesWithTheReferenceOnAwkwardShapes) {
  if (GetParam().name == "ref") return;  // it would be compared with itself
  for (const ScanCase& scan : scan_cases()) {
    SCOPED_TRACE(to_string(scan));
    expect_agreement(backend(), forward(inputs_of(scan)), {.types = Types::alike});
  }
}

TEST_P(SsdScan, GivesTheSameAnswerForAnyChunk) {
  if (GetParam().name == "ref") return;  // it has no chunks
  for (const std::int64_t chunk : {1, 7, 32, 64, 128, 1000}) {
    SCOPED_TRACE(chunk);
    expect_agreement(backend(),
                     forward(inputs_of({.lengths = {250, 30}, .heads = 3, .width = 40, .states = 20, .chunk = chunk})),
                     {.types = Types::alike});
  }
}

TEST_P(SsdScan, KeepsSequencesApart) {
  for (const bool reverse : {false, true}) {
    const ScanInputs pack = inputs_of({.lengths = {70, 0, 1, 130, 64},
                                       .heads = 4,
                                       .groups = 2,
                                       .width = 24,
                                       .states = 12,
                                       .chunk = 32,
                                       .reverse = reverse,
                                       .with_states = false});
    const HostTensor all = output(backend(), pack, "y");
    for (std::size_t s = 1; s < pack.seq_begin.size(); ++s) {
      const std::int64_t begin = pack.seq_begin[s - 1];
      const std::int64_t end = pack.seq_begin[s];
      EXPECT_EQ(first_difference(output(backend(), piece_of(pack, begin, end), "y"), all.rows(begin, end)), "") << s;
    }
  }
}

TEST_P(SsdScan, KeepsNotANumberInsideItsSequence) {
  ScanInputs pack = inputs_of({.lengths = {40, 50, 60}, .heads = 2, .chunk = 32, .with_states = false});
  const HostTensor clean = output(backend(), pack, "y");
  for (std::int64_t i = 40 * 32; i < 90 * 32; ++i) pack.x.values[static_cast<std::size_t>(i)] = std::nan("");
  const HostTensor spoilt = output(backend(), pack, "y");
  EXPECT_EQ(first_difference(spoilt.rows(0, 40), clean.rows(0, 40)), "");
  EXPECT_EQ(first_difference(spoilt.rows(90, 150), clean.rows(90, 150)), "");
}

TEST_P(SsdScan, DoesNotLookAhead) {
  for (const bool reverse : {false, true}) {
    const ScanInputs inputs = inputs_of({.lengths = {150},
                                         .heads = 2,
                                         .width = 16,
                                         .states = 8,
                                         .chunk = 32,
                                         .reverse = reverse,
                                         .with_states = false});
    const HostTensor before = output(backend(), inputs, "y");
    ScanInputs changed = inputs;
    const std::int64_t token = 77;
    const std::int64_t later_begin = reverse ? 0 : token;
    const std::int64_t later_end = reverse ? token + 1 : 150;
    for (HostTensor* tensor : {&changed.x, &changed.dt, &changed.b, &changed.c}) {
      const std::int64_t width = tensor->elements() / 150;
      for (std::int64_t i = later_begin * width; i < later_end * width; ++i) {
        tensor->values[static_cast<std::size_t>(i)] += 1.5;
      }
    }
    const HostTensor after = output(backend(), changed, "y");
    const std::int64_t kept_begin = reverse ? token + 1 : 0;
    const std::int64_t kept_end = reverse ? 150 : token;
    EXPECT_EQ(first_difference(after.rows(kept_begin, kept_end), before.rows(kept_begin, kept_end)), "");
    EXPECT_NE(first_difference(after.rows(token, token + 1), before.rows(token, token + 1)), "");
  }
}

/// Scans [0, cut) and [cut, T) in scan order with the state handed over, and puts y together again.
Results in_two_pieces(Backend& backend, const ScanInputs& inputs, std::int64_t cut) {
  const std::int64_t length = inputs.seq_begin.back();
  const std::int64_t token = inputs.scan.reverse ? length - cut : cut;
  ScanInputs first = inputs.scan.reverse ? piece_of(inputs, token, length) : piece_of(inputs, 0, token);
  ScanInputs second = inputs.scan.reverse ? piece_of(inputs, 0, token) : piece_of(inputs, token, length);
  first.scan.with_states = second.scan.with_states = true;
  first.initial_state = inputs.initial_state;
  const Results head = results_of(backend, forward(first));
  second.initial_state = named(head, "final_state");
  Results tail = results_of(backend, forward(second));
  HostTensor joined = named(inputs.scan.reverse ? tail : head, "y");
  const HostTensor& rest = named(inputs.scan.reverse ? head : tail, "y");
  joined.shape[0] = length;
  joined.values.insert(joined.values.end(), rest.values.begin(), rest.values.end());
  return {{"y", joined, result_named(head, "y").dtype}, result_named(tail, "final_state")};
}

TEST_P(SsdScan, ResumesFromASavedStateWithTheSameBitsAtMultiplesOfTheChunk) {
  for (const bool reverse : {false, true}) {
    const ScanInputs inputs =
        inputs_of({.lengths = {150}, .heads = 3, .width = 40, .states = 20, .chunk = 32, .reverse = reverse});
    const Results whole = results_of(backend(), forward(inputs));
    for (const std::int64_t cut : {0, 32, 64, 128, 150}) {
      SCOPED_TRACE(cut);
      expect_same_bits(in_two_pieces(backend(), inputs, cut), whole);
    }
  }
}

TEST_P(SsdScan, ResumesFromASavedStateAnywhereWithinTheBound) {
  const ScanInputs inputs = inputs_of({.lengths = {150}, .heads = 10, .width = 16, .states = 20, .chunk = 32});
  const Results want = results_of(reference(), forward(inputs), {.rounded = backend().dtype() == DType::bf16});
  const Results plain = results_of(*yardstick_of(backend()), forward(inputs));
  for (const std::int64_t cut : {1, 31, 33, 77, 149}) {
    const Results got = in_two_pieces(backend(), inputs, cut);
    for (const char* name : {"y", "final_state"}) {
      EXPECT_EQ(first_gap(result_named(got, name), named(want, name), named(plain, name)), "")
          << name << ", cut " << cut;
    }
  }
}

TEST_P(SsdScan, ReversedEqualsFlippedInput) {
  const ScanInputs reversed = inputs_of(
      {.lengths = {70, 5, 0, 64, 3}, .heads = 4, .groups = 2, .width = 20, .states = 12, .chunk = 32, .reverse = true});
  ScanInputs turned = reversed;
  turned.scan.reverse = false;
  for (HostTensor* tensor : {&turned.x, &turned.dt, &turned.b, &turned.c}) {
    *tensor = flipped(*tensor, reversed.seq_begin);
  }

  const Results got = results_of(backend(), forward(reversed));
  const Results want = results_of(backend(), forward(turned));

  EXPECT_EQ(first_difference(named(got, "y"), flipped(named(want, "y"), reversed.seq_begin)), "");
  EXPECT_EQ(first_difference(named(got, "final_state"), named(want, "final_state")), "");
}

TEST_P(SsdScan, GivesTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_threads(forward(inputs_of({.lengths = {2500}, .heads = 2, .width = 100, .states = 30})));
  expect_same_bits_for_any_threads(forward(
      inputs_of({.lengths = std::vector<std::int64_t>(60, 37), .heads = 6, .groups = 3, .width = 16, .states = 16})));
}

TEST_P(SsdScan, StaysFiniteWhenDecayUnderflows) {
  ScanInputs inputs = inputs_of({.lengths = {200}, .heads = 2, .dt_offset = 90, .a_log_offset = 12});
  inputs.dt.values[10] = 3e38F;  // delta * a is minus infinity: the state is forgotten, no NaN appears
  inputs.x.values[10 * 2 * 16] = 0.0;
  const Results got = results_of(backend(), forward(inputs));
  const HostTensor& y = named(got, "y");
  EXPECT_TRUE(std::all_of(y.values.begin(), y.values.end(), [](double value) { return !std::isnan(value); }));
}

TEST_P(SsdScan, EmptySequencesHandTheirStateOn) {
  const ScanInputs inputs = inputs_of({.lengths = {0, 0}, .heads = 2, .width = 3, .states = 4});
  EXPECT_EQ(first_difference(output(backend(), inputs, "final_state"), inputs.initial_state), "");
  ScanInputs zeroed = inputs;
  const Results got = results_of(backend(), [&](Stage& stage) {
    zeroed.scan.with_states = false;
    ops::SsdScanArgs args = place_forward(stage, zeroed);
    args.y_thp = stage.activation_out("y", zeroed.x.shape);
    args.final_state_shpn = stage.weight_out("final_state", inputs.initial_state.shape);
    ops::ssd_scan(stage.backend(), args);
  });
  EXPECT_EQ(first_difference(named(got, "final_state"), zeros(inputs.initial_state.shape)), "");
}

TEST_P(SsdScan, TakesAbsentSkipAndBiasAsZero) {
  ScanInputs inputs = inputs_of({.lengths = {90}, .heads = 3, .with_states = false});
  inputs.d = zeros(inputs.d.shape);
  inputs.dt_bias = zeros(inputs.dt_bias.shape);
  const Results absent = results_of(backend(), [&](Stage& stage) {
    ops::SsdScanArgs args = place_forward(stage, inputs);
    args.d_h = args.dt_bias_h = {};
    args.y_thp = stage.activation_out("y", inputs.x.shape);
    ops::ssd_scan(stage.backend(), args);
  });
  EXPECT_EQ(first_difference(named(absent, "y"), output(backend(), inputs, "y")), "");
}

TEST_P(SsdScan, RefusesWhatBreaksTheContract) {
  const ScanInputs inputs = inputs_of({.lengths = {6}, .heads = 4, .groups = 2, .width = 3, .states = 5});
  const auto message = [&](const std::function<void(Stage&, ops::SsdScanArgs&)>& spoil) {
    Stage stage(backend());
    ops::SsdScanArgs args = place_forward(stage, inputs);
    args.y_thp = stage.activation_out("y", inputs.x.shape);
    spoil(stage, args);
    return contract_message([&] { ops::ssd_scan(backend(), args); });
  };
  const std::vector<std::int64_t> short_offsets{0, 5};
  const std::vector<std::int64_t> falling_offsets{0, 4, 3, 6};

  EXPECT_THAT(message([&](Stage&, auto& args) { args.seq_begin = short_offsets; }), HasSubstr("ssd_scan"));
  EXPECT_THAT(message([&](Stage&, auto& args) { args.seq_begin = falling_offsets; }), HasSubstr("ssd_scan"));
  EXPECT_THAT(message([&](Stage& stage, auto& args) {
                args.dt_th = stage.activation(zeros({6, 3}));
              }),
              testing::AllOf(HasSubstr("dt"), HasSubstr("[6, 3]"), HasSubstr("[6, 4]")));
  EXPECT_THAT(message([&](Stage& stage, auto& args) {
                args.b_tgn = stage.activation(zeros({6, 3, 5}));
              }),
              testing::AllOf(HasSubstr("groups"), HasSubstr("[6, 3, 5]"), HasSubstr("[6, 4, 3]")));
  EXPECT_THAT(message([&](Stage& stage, auto& args) {
                args.initial_state_shpn = stage.weight(zeros({1, 4, 5, 3}));
              }),
              testing::AllOf(HasSubstr("initial_state"), HasSubstr("[1, 4, 5, 3]"), HasSubstr("[1, 4, 3, 5]")));
  EXPECT_THAT(message([](Stage&, auto& args) { args.chunk = 0; }), HasSubstr("chunk"));
  EXPECT_THAT(message([](Stage&, auto& args) { args.step = {.min = 2, .max = 1}; }), HasSubstr("step limits"));
  EXPECT_THAT(message([](Stage&, auto& args) { args.c_tgn = {}; }), HasSubstr("c"));
  EXPECT_THAT(message([](Stage& stage, auto& args) {
                const View x = stage.activation_inout("x", zeros({6, 4, 3}));
                args.x_thp = x;
                args.y_thp = x;
              }),
              testing::AllOf(HasSubstr("y"), HasSubstr("x")));
}

INSTANTIATE_TEST_SUITE_P(BackEnds, SsdScan, testing::ValuesIn(back_ends()), name_of_case);

}  // namespace
}  // namespace strandline::test
