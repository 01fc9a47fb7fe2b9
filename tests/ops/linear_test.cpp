#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

struct LinearCase {
  std::int64_t tokens;
  std::int64_t inputs;
  std::int64_t outputs;
  bool bias = true;
  bool accumulate = false;
};

// One of everything, sizes around the tiles (4, 6, 8 rows; 8, 16, 32 columns), more than one depth and column block.
const std::vector<LinearCase>& cases() {
  static const std::vector<LinearCase> all{
      {0, 5, 3},
      {1, 1, 1},
      {3, 1, 2, false},
      {1, 256, 2},
      {5, 7, 0},
      {2, 0, 3},
      {7, 9, 31},
      {8, 32, 32},
      {9, 33, 33, true, true},
      {63, 257, 65},
      {11, 270, 660, false},
      {66, 513, 17, false, true},
      {130, 64, 136},
      {257, 48, 32, false, true},
      {300, 128, 386, false},
      {2100, 32, 48},
  };
  return all;
}

OpCall forward(const LinearCase& shape) {
  return [shape](Stage& stage) {
    const ops::LinearArgs args{.x_ti = stage.activation(normal({shape.tokens, shape.inputs}, 1)),
                               .weight_oi = stage.weight(normal({shape.outputs, shape.inputs}, 2)),
                               .bias_o = shape.bias ? stage.weight(normal({shape.outputs}, 3)) : ConstView{},
                               .y_to = shape.accumulate
                                           ? stage.activation_inout("y", normal({shape.tokens, shape.outputs}, 4))
                                           : stage.activation_out("y", {shape.tokens, shape.outputs}),
                               .accumulate = shape.accumulate};
    ops::linear(stage.backend(), args);
  };
}

OpCall backward(const LinearCase& shape) {
  return [shape](Stage& stage) {
    const ops::LinearBackwardArgs args{
        .x_ti = stage.activation(normal({shape.tokens, shape.inputs}, 1)),
        .weight_oi = stage.weight(normal({shape.outputs, shape.inputs}, 2)),
        .dy_to = stage.activation(normal({shape.tokens, shape.outputs}, 5)),
        .dx_ti = stage.activation_out("dx", {shape.tokens, shape.inputs}),
        .dweight_oi = stage.weight_inout("dweight", normal({shape.outputs, shape.inputs}, 6)),
        .dbias_o = stage.weight_inout("dbias", normal({shape.outputs}, 7))};
    ops::linear_backward(stage.backend(), args);
  };
}

class Linear : public BackendSuite {};

TEST_P(Linear, MultipliesNumbersThatOneCanCheckByHand) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::linear(stage.backend(), {.x_ti = stage.activation(tensor_of({2, 2}, {1, 2, 3, 4})),
                                  .weight_oi = stage.weight(tensor_of({3, 2}, {1, 0, 0, 1, 10, 100})),
                                  .bias_o = stage.weight(tensor_of({3}, {0.5, 0, -1})),
                                  .y_to = stage.activation_out("y", {2, 3})});
  });

  EXPECT_THAT(named(got, "y").values, testing::ElementsAreArray(stored({1.5, 2, 209, 3.5, 4, 429})));
}

TEST_P(Linear, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const LinearCase& shape : cases()) {
    SCOPED_TRACE(testing::Message() << shape.tokens << " x " << shape.inputs << " -> " << shape.outputs);
    expect_agreement(backend(), forward(shape));
  }
}

TEST_P(Linear, GradientsAgreeWithTheReferenceOnAwkwardShapes) {
  for (const LinearCase& shape : cases()) {
    SCOPED_TRACE(testing::Message() << shape.tokens << " x " << shape.inputs << " -> " << shape.outputs);
    expect_agreement(backend(), backward(shape));
  }
}

TEST_P(Linear, GivesARowTheSameBitsInAnyPack) {
  const HostTensor x = normal({70, 300}, 1);
  const HostTensor weight = normal({45, 300}, 2);
  const auto rows = [&](std::int64_t begin, std::int64_t end) {
    return named(results_of(backend(),
                            [&](Stage& stage) {
                              ops::linear(stage.backend(), {.x_ti = stage.activation(x.rows(begin, end)),
                                                            .weight_oi = stage.weight(weight),
                                                            .y_to = stage.activation_out("y", {end - begin, 45})});
                            }),
                 "y");
  };

  const HostTensor all = rows(0, 70);

  for (const std::int64_t begin : {0, 1, 13, 69}) {
    EXPECT_EQ(first_difference(rows(begin, begin + 1), all.rows(begin, begin + 1)), "") << "row " << begin;
  }
  EXPECT_EQ(first_difference(rows(11, 52), all.rows(11, 52)), "");
}

// Wide aligned rows, as of the models: on a GPU a library computes them, with an algorithm of its choice.
TEST_P(Linear, GivesARowTheSameBitsInAPackOfAnyLength) {
  constexpr std::int64_t kInputs = 128;
  constexpr std::int64_t kOutputs = 136;
  const HostTensor x = normal({300, kInputs}, 1);
  const HostTensor weight = normal({kOutputs, kInputs}, 2);
  const HostTensor before = normal({300, kOutputs}, 4);
  const auto rows = [&](std::int64_t begin, std::int64_t end) {
    return named(results_of(backend(),
                            [&](Stage& stage) {
                              ops::linear(stage.backend(),
                                          {.x_ti = stage.activation(x.rows(begin, end)),
                                           .weight_oi = stage.weight(weight),
                                           .y_to = stage.activation_inout("y", before.rows(begin, end)),
                                           .accumulate = true});
                            }),
                 "y");
  };

  const HostTensor all = rows(0, 300);

  for (const std::int64_t begin : {0, 1, 127, 299}) {
    EXPECT_EQ(first_difference(rows(begin, begin + 1), all.rows(begin, begin + 1)), "") << "row " << begin;
  }
  EXPECT_EQ(first_difference(rows(11, 203), all.rows(11, 203)), "");
}

TEST_P(Linear, GivesTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_threads(forward({1000, 300, 129}));
  expect_same_bits_for_any_threads(backward({1000, 300, 129}));
  expect_same_bits_for_any_threads(forward({3, 300, 1290}));
}

TEST_P(Linear, LeavesAbsentGradientsOut) {
  const Results all = results_of(backend(), backward({20, 12, 9}));
  const Results got = results_of(backend(), [&](Stage& stage) {
    ops::linear_backward(stage.backend(), {.x_ti = {},
                                           .weight_oi = stage.weight(normal({9, 12}, 2)),
                                           .dy_to = stage.activation(normal({20, 9}, 5)),
                                           .dx_ti = stage.activation_out("dx", {20, 12})});
  });

  EXPECT_EQ(first_difference(named(got, "dx"), named(all, "dx")), "");
}

TEST_P(Linear, LetsNotANumberThrough) {
  HostTensor x = normal({9, 40}, 1);
  x.values[3 * 40 + 7] = std::nan("");
  const Results got = results_of(backend(), [&](Stage& stage) {
    ops::linear(stage.backend(), {.x_ti = stage.activation(x),
                                  .weight_oi = stage.weight(normal({5, 40}, 2)),
                                  .y_to = stage.activation_out("y", {9, 5})});
  });

  const auto& y = named(got, "y").values;
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 5 == 3) << i;
}

TEST_P(Linear, RefusesShapesThatDoNotMatch) {
  Stage stage(backend());
  const ConstView x = stage.activation(normal({4, 6}, 1));
  const View y = stage.activation_out("y", {4, 5});

  const std::string message = contract_message([&] {
    ops::linear(backend(), {.x_ti = x, .weight_oi = stage.weight(normal({5, 7}, 2)), .y_to = y});
  });

  EXPECT_THAT(message, HasSubstr("linear: weight_oi has the shape [5, 7], expected [5, 6]"));
}

TEST_P(Linear, RefusesAnOutputThatOverlapsAnInput) {
  Stage stage(backend());
  const View y = stage.activation_out("y", {4, 6});

  const std::string message = contract_message([&] {
    ops::linear(backend(), {.x_ti = y, .weight_oi = stage.weight(normal({6, 6}, 2)), .y_to = y});
  });

  EXPECT_THAT(message, HasSubstr("y_to [4, 6] overlaps x_ti [4, 6]"));
}

TEST_P(Linear, TakesColumnsOfOneTensorAsInputAndOutput) {
  Stage stage(backend());
  const View both = stage.activation_inout("both", normal({10, 7}, 1));

  ops::linear(backend(), {.x_ti = both.slice(1, 0, 4),
                          .weight_oi = stage.weight(tensor_of({3, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0})),
                          .y_to = both.slice(1, 4, 7)});

  const HostTensor got = named(stage.finish(), "both");
  for (std::int64_t t = 0; t < 10; ++t) {
    for (std::int64_t i = 0; i < 3; ++i) {
      EXPECT_EQ(got.values[static_cast<std::size_t>(t * 7 + 4 + i)], got.values[static_cast<std::size_t>(t * 7 + i)]);
    }
  }
}

TEST_P(Linear, RefusesWrongElementTypes) {
  Stage stage(backend());
  const ConstView ids = stage.ids({1, 2, 3, 4});

  const std::string message = contract_message([&] {
    ops::linear(backend(), {.x_ti = ConstView(ids.data(), DType::i32, {2, 2}, ids.device()),
                            .weight_oi = stage.weight(normal({6, 2}, 2)),
                            .y_to = stage.activation_out("y", {2, 6})});
  });

  EXPECT_THAT(message, HasSubstr("x_ti [2, 2] holds i32, expected"));
}

INSTANTIATE_TEST_SUITE_P(On, Linear, testing::ValuesIn(back_ends()), name_of_case);

TEST(LinearReference, GradientsMatchFiniteDifferences) {
  const HostTensor probe = normal({4, 5}, 5);
  const auto loss = [&](const std::vector<HostTensor>& inputs) {
    const Results got = results_of(reference(), [&](Stage& stage) {
      ops::linear(stage.backend(), {.x_ti = stage.activation(inputs[0]),
                                    .weight_oi = stage.weight(inputs[1]),
                                    .bias_o = stage.weight(inputs[2]),
                                    .y_to = stage.activation_out("y", {4, 5})});
    });
    return inner_product(named(got, "y"), probe);
  };
  const Results gradients = results_of(reference(), [&](Stage& stage) {
    ops::linear_backward(stage.backend(), {.x_ti = stage.activation(normal({4, 3}, 1)),
                                           .weight_oi = stage.weight(normal({5, 3}, 2)),
                                           .dy_to = stage.activation(probe),
                                           .dx_ti = stage.activation_out("dx", {4, 3}),
                                           .dweight_oi = stage.weight_inout("dweight", zeros({5, 3})),
                                           .dbias_o = stage.weight_inout("dbias", zeros({5}))});
  });

  expect_gradients(loss, {normal({4, 3}, 1), normal({5, 3}, 2), normal({5}, 3)},
                   {named(gradients, "dx"), named(gradients, "dweight"), named(gradients, "dbias")});
}

}  // namespace
}  // namespace strandline::test
