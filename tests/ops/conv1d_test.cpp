#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "core/ops/conv1d.hpp"
#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

struct ConvCase {
  std::vector<std::int64_t> lengths;
  std::int64_t channels = 37;
  std::int64_t taps = 4;
  bool reverse = false;
  bool silu = true;
  bool with_states = true;  ///< initial state, final state, and the gradient of the final state
  bool with_bias = true;
};

struct ConvInputs {
  ConvCase conv;
  std::vector<std::int64_t> seq_begin;
  HostTensor x, weight, bias, initial_state, dy, dfinal_state;

  Shape state_shape() const { return {static_cast<std::int64_t>(seq_begin.size()) - 1, conv.taps - 1, conv.channels}; }
};

ConvInputs inputs_of(const ConvCase& conv) {
  ConvInputs inputs;
  inputs.conv = conv;
  inputs.seq_begin = offsets_of(conv.lengths);
  const std::int64_t t = inputs.seq_begin.back();
  inputs.x = normal({t, conv.channels}, 1);
  inputs.weight = normal({conv.channels, conv.taps}, 2, 0, 0.5);
  inputs.bias = normal({conv.channels}, 3);
  inputs.initial_state = normal(inputs.state_shape(), 4);
  inputs.dy = normal({t, conv.channels}, 5);
  inputs.dfinal_state = normal(inputs.state_shape(), 6);
  return inputs;
}

/// Tokens [begin, end), which lie inside one sequence, as a pack of one sequence.
ConvInputs piece_of(const ConvInputs& inputs, std::int64_t begin, std::int64_t end) {
  ConvInputs piece = inputs;
  piece.seq_begin = {0, end - begin};
  piece.x = inputs.x.rows(begin, end);
  piece.dy = inputs.dy.rows(begin, end);
  return piece;
}

OpCall forward(const ConvInputs& inputs) {
  return [inputs](Stage& stage) {
    const ConvCase& conv = inputs.conv;
    ops::Conv1dArgs args{.x_tc = stage.activation(inputs.x),
                         .weight_ck = stage.weight(inputs.weight),
                         .bias_c = conv.with_bias ? stage.weight(inputs.bias) : ConstView{},
                         .seq_begin = inputs.seq_begin,
                         .reverse = conv.reverse,
                         .silu = conv.silu,
                         .y_tc = stage.activation_out("y", inputs.x.shape)};
    if (conv.with_states) {
      args.initial_state_skc = stage.weight(inputs.initial_state);
      args.final_state_skc = stage.weight_out("final_state", inputs.state_shape());
    }
    ops::conv1d(stage.backend(), args);
  };
}

OpCall backward(const ConvInputs& inputs) {
  return [inputs](Stage& stage) {
    const ConvCase& conv = inputs.conv;
    ops::Conv1dBackwardArgs args{.x_tc = stage.activation(inputs.x),
                                 .weight_ck = stage.weight(inputs.weight),
                                 .bias_c = conv.with_bias ? stage.weight(inputs.bias) : ConstView{},
                                 .seq_begin = inputs.seq_begin,
                                 .reverse = conv.reverse,
                                 .silu = conv.silu,
                                 .dy_tc = stage.activation(inputs.dy),
                                 .dx_tc = stage.activation_out("dx", inputs.x.shape),
                                 .dweight_ck = stage.weight_inout("dweight", zeros(inputs.weight.shape)),
                                 .dbias_c = stage.weight_inout("dbias", zeros(inputs.bias.shape))};
    if (conv.with_states) {
      args.initial_state_skc = stage.weight(inputs.initial_state);
      args.dfinal_state_skc = stage.weight(inputs.dfinal_state);
      args.dinitial_state_skc = stage.weight_out("dinitial_state", inputs.state_shape());
    }
    ops::conv1d_backward(stage.backend(), args);
  };
}

std::vector<ConvCase> conv_cases() {
  std::vector<ConvCase> cases;
  for (const std::int64_t taps : {2, 3, 4, 5, 6, 7, 8}) {
    for (const bool reverse : {false, true}) {
      // Lengths shorter than K - 1, around the tile of 32 rows, and longer than one range of tokens.
      cases.push_back({.lengths = {1, 0, 2, 31, 32, 33, 3, 140}, .taps = taps, .reverse = reverse});
    }
  }
  for (const std::int64_t channels : {1, 15, 16, 17, 64, 100})
    cases.push_back({.lengths = {50, 3}, .channels = channels});
  // Channels that fill whole vectors, and so many sequences that finding one takes several steps.
  cases.push_back({.lengths = {300, 0, 5, 700}, .channels = 256});
  cases.push_back({.lengths = {300, 0, 5, 700}, .channels = 132, .reverse = true});
  std::vector<std::int64_t> many;
  for (std::int64_t s = 0; s < 1500; ++s) many.push_back(s % 5);
  cases.push_back({.lengths = many, .channels = 8});
  cases.push_back({.lengths = {}});
  cases.push_back({.lengths = {0}});
  cases.push_back({.lengths = {1100}, .channels = 20, .reverse = true});
  cases.push_back({.lengths = {40, 7}, .silu = false, .with_states = false});
  cases.push_back({.lengths = {40, 7}, .with_bias = false});
  return cases;
}

std::string to_string(const ConvCase& conv) {
  std::string text = "K ";
  text += std::to_string(conv.taps);
  text += ", C ";
  text += std::to_string(conv.channels);
  text += conv.reverse ? ", reverse, lengths" : ", lengths";
  for (const std::int64_t length : conv.lengths) text.append(" ").append(std::to_string(length));
  return text;
}

class Conv1d : public BackendSuite {};

TEST_P(Conv1d, ConvolvesNumbersThatOneCanCheckByHand) {
  ConvInputs inputs = inputs_of({.lengths = {3}, .channels = 1, .taps = 3, .silu = false});
  inputs.x.values = {1, 2, 3};
  inputs.weight.values = {100, 10, 1};
  inputs.bias.values = {0.5};
  inputs.initial_state.values = {7, 8};

  const Results forwards = results_of(backend(), forward(inputs));
  inputs.conv.reverse = true;
  const Results backwards = results_of(backend(), forward(inputs));

  EXPECT_THAT(named(forwards, "y").values, testing::ElementsAreArray(stored({781.5, 812.5, 123.5})));
  EXPECT_THAT(named(forwards, "final_state").values, testing::ElementsAre(2, 3));
  EXPECT_THAT(named(backwards, "y").values, testing::ElementsAreArray(stored({321.5, 832.5, 783.5})));
  EXPECT_THAT(named(backwards, "final_state").values, testing::ElementsAre(2, 1));
}

TEST_P(Conv1d, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const ConvCase& conv : conv_cases()) {
    SCOPED_TRACE(to_string(conv));
    expect_agreement(backend(), forward(inputs_of(conv)));
  }
}

TEST_P(Conv1d, GradientsAgreeWithTheReferenceOnAwkwardShapes) {
  for (const ConvCase& conv : conv_cases()) {
    SCOPED_TRACE(to_string(conv));
    expect_agreement(backend(), backward(inputs_of(conv)));
  }
}

TEST(Conv1dReference, GradientMatchesFiniteDifferences) {
  for (const ConvCase& conv :
       {ConvCase{.lengths = {5, 0, 1, 2}, .channels = 2, .taps = 4},
        ConvCase{.lengths = {6, 1}, .channels = 2, .taps = 3, .reverse = true},
        ConvCase{.lengths = {4}, .channels = 1, .taps = 2, .silu = false, .with_states = false}}) {
    SCOPED_TRACE(to_string(conv));
    const ConvInputs inputs = inputs_of(conv);
    const Results got = results_of(reference(), backward(inputs));
    std::vector<HostTensor> values{inputs.x, inputs.weight, inputs.bias};
    std::vector<HostTensor> gradients{named(got, "dx"), named(got, "dweight"), named(got, "dbias")};
    if (conv.with_states) {
      values.push_back(inputs.initial_state);
      gradients.push_back(named(got, "dinitial_state"));
    }
    expect_gradients(
        [&](const std::vector<HostTensor>& moved) {
          ConvInputs at = inputs;
          at.x = moved[0];
          at.weight = moved[1];
          at.bias = moved[2];
          if (conv.with_states) at.initial_state = moved[3];
          const Results outputs = results_of(reference(), forward(at));
          double loss = inner_product(named(outputs, "y"), inputs.dy);
          if (conv.with_states) loss += inner_product(named(outputs, "final_state"), inputs.dfinal_state);
          return loss;
        },
        values, gradients);
  }
}

TEST_P(Conv1d, KeepsSequencesApart) {
  for (const bool reverse : {false, true}) {
    const ConvInputs pack = inputs_of({.lengths = {200, 0, 1, 2, 70}, .reverse = reverse, .with_states = false});
    const Results all = results_of(backend(), forward(pack));
    const Results gradients = results_of(backend(), backward(pack));
    for (std::size_t s = 1; s < pack.seq_begin.size(); ++s) {
      const std::int64_t begin = pack.seq_begin[s - 1];
      const std::int64_t end = pack.seq_begin[s];
      const ConvInputs alone = piece_of(pack, begin, end);
      EXPECT_EQ(first_difference(named(results_of(backend(), forward(alone)), "y"), named(all, "y").rows(begin, end)),
                "");
      EXPECT_EQ(first_difference(named(results_of(backend(), backward(alone)), "dx"),
                                 named(gradients, "dx").rows(begin, end)),
                "");
    }
  }
}

TEST_P(Conv1d, DoesNotLookAhead) {
  ConvInputs inputs = inputs_of({.lengths = {100}, .with_states = false});
  const HostTensor before = named(results_of(backend(), forward(inputs)), "y");
  for (std::size_t i = 41 * 37; i < inputs.x.values.size(); ++i) inputs.x.values[i] = std::nan("");
  const HostTensor after = named(results_of(backend(), forward(inputs)), "y");
  EXPECT_EQ(first_difference(after.rows(0, 41), before.rows(0, 41)), "");
  EXPECT_TRUE(std::isnan(after.rows(41, 42).values[0]));
}

TEST_P(Conv1d, ResumesFromASavedStateWithTheSameBits) {
  for (const bool reverse : {false, true}) {
    const ConvInputs whole = inputs_of({.lengths = {70}, .taps = 5, .reverse = reverse});
    const Results want = results_of(backend(), forward(whole));
    // Pieces shorter than K - 1 = 4 take older inputs from the state that they were given.
    for (const std::int64_t step : {1, 2, 3, 4, 33}) {
      SCOPED_TRACE(step);
      HostTensor state = whole.initial_state;
      for (std::int64_t place = 0; place < 70; place += step) {
        const std::int64_t last = std::min<std::int64_t>(place + step, 70);
        const std::int64_t begin = reverse ? 70 - last : place;
        const std::int64_t end = reverse ? 70 - place : last;
        ConvInputs piece = piece_of(whole, begin, end);
        piece.initial_state = state;
        const Results got = results_of(backend(), forward(piece));
        EXPECT_EQ(first_difference(named(got, "y"), named(want, "y").rows(begin, end)), "") << place;
        state = named(got, "final_state");
      }
      EXPECT_EQ(first_difference(state, named(want, "final_state")), "");
    }
  }
}

TEST_P(Conv1d, GradientFlowsThroughACarriedState) {
  const ConvInputs whole = inputs_of({.lengths = {70}, .taps = 4});
  const Results want = results_of(backend(), backward(whole));
  for (const std::int64_t cut : {1, 2, 33, 68, 69}) {
    ConvInputs first = piece_of(whole, 0, cut);
    ConvInputs second = piece_of(whole, cut, 70);
    second.initial_state = named(results_of(backend(), forward(first)), "final_state");
    const Results tail = results_of(backend(), backward(second));
    first.dfinal_state = named(tail, "dinitial_state");
    const Results head = results_of(backend(), backward(first));
    for (std::size_t i = 0; i < named(want, "dx").values.size(); ++i) {
      const std::size_t edge = static_cast<std::size_t>(cut) * 37;
      const double got = i < edge ? named(head, "dx").values[i] : named(tail, "dx").values[i - edge];
      // Across the cut the same terms are added in another order.
      ASSERT_NEAR(got, named(want, "dx").values[i], near(1e-5, got)) << "cut " << cut << ", element " << i;
    }
  }
}

TEST_P(Conv1d, GivesTheSameBitsForAnyNumberOfThreads) {
  const ConvInputs inputs = inputs_of({.lengths = {3000, 5, 900}, .channels = 70});
  expect_same_bits_for_any_threads(forward(inputs));
  expect_same_bits_for_any_threads(backward(inputs));
}

TEST_P(Conv1d, LeavesAbsentGradientsOut) {
  const ConvInputs inputs = inputs_of({.lengths = {80, 3}, .with_states = false});
  const Results all = results_of(backend(), backward(inputs));
  const auto call = [&](const std::function<void(Stage&, ops::Conv1dBackwardArgs&)>& choose) {
    return results_of(backend(), [&](Stage& stage) {
      ops::Conv1dBackwardArgs args{.x_tc = stage.activation(inputs.x),
                                   .weight_ck = stage.weight(inputs.weight),
                                   .bias_c = stage.weight(inputs.bias),
                                   .seq_begin = inputs.seq_begin,
                                   .dy_tc = stage.activation(inputs.dy)};
      choose(stage, args);
      ops::conv1d_backward(stage.backend(), args);
    });
  };
  const Results dx = call([&](Stage& stage, auto& args) { args.dx_tc = stage.activation_out("dx", inputs.x.shape); });
  const Results dweight = call(
      [&](Stage& stage, auto& args) { args.dweight_ck = stage.weight_inout("dweight", zeros(inputs.weight.shape)); });
  EXPECT_EQ(first_difference(named(dx, "dx"), named(all, "dx")), "");
  EXPECT_EQ(first_difference(named(dweight, "dweight"), named(all, "dweight")), "");
}

TEST_P(Conv1d, RefusesWhatBreaksTheContract) {
  const ConvInputs inputs = inputs_of({.lengths = {6}, .channels = 3});
  const auto message = [&](const std::function<void(Stage&, ops::Conv1dArgs&)>& spoil) {
    Stage stage(backend());
    ops::Conv1dArgs args{.x_tc = stage.activation(inputs.x),
                         .weight_ck = stage.weight(inputs.weight),
                         .seq_begin = inputs.seq_begin,
                         .y_tc = stage.activation_out("y", inputs.x.shape)};
    spoil(stage, args);
    return contract_message([&] { ops::conv1d(backend(), args); });
  };
  const std::vector<std::int64_t> short_offsets{0, 5};
  EXPECT_THAT(message([&](Stage&, auto& args) { args.seq_begin = short_offsets; }), HasSubstr("conv1d"));
  EXPECT_THAT(message([](Stage& stage, auto& args) {
                args.weight_ck = stage.weight(zeros({3, 9}));
              }),
              testing::AllOf(HasSubstr("weight"), HasSubstr("[3, 9]"), HasSubstr("taps")));
  EXPECT_THAT(message([](Stage& stage, auto& args) {
                args.weight_ck = stage.weight(zeros({4, 4}));
              }),
              testing::AllOf(HasSubstr("weight"), HasSubstr("[4, 4]"), HasSubstr("[3, 4]")));
  EXPECT_THAT(message([](Stage& stage, auto& args) { args.bias_c = stage.weight(zeros({4})); }),
              testing::AllOf(HasSubstr("bias"), HasSubstr("[4]"), HasSubstr("[3]")));
  EXPECT_THAT(message([](Stage& stage, auto& args) {
                args.initial_state_skc = stage.weight(zeros({1, 4, 3}));
              }),
              testing::AllOf(HasSubstr("initial_state"), HasSubstr("[1, 4, 3]"), HasSubstr("[1, 3, 3]")));
  EXPECT_THAT(message([](Stage& stage, auto& args) {
                const View x = stage.activation_inout("x", zeros({6, 3}));
                args.x_tc = x;
                args.y_tc = x;
              }),
              testing::AllOf(HasSubstr("y"), HasSubstr("x")));
}

INSTANTIATE_TEST_SUITE_P(BackEnds, Conv1d, testing::ValuesIn(back_ends()), name_of_case);

}  // namespace
}  // namespace strandline::test
