#include <gmock/gmock.h>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

struct GridCase {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t channels;
  Shape weight;
  Shape x() const { return {rows * columns, channels}; }
};

// Grids smaller than their taps, one column only, channels that share taps, more tokens than a block of sums, more taps
// and channels than a block of the GPU takes.
const std::vector<GridCase>& cases() {
  static const std::vector<GridCase> all{{0, 3, 4, {4, 3, 3}},    {1, 1, 5, {5, 7, 7}},     {3, 2, 6, {6, 5, 3}},
                                         {9, 1, 12, {3, 5, 1}},   {20, 17, 33, {33, 3, 3}}, {40, 1, 8, {1, 33, 1}},
                                         {11, 12, 66, {2, 17, 9}}};
  return all;
}

OpCall convolved(const GridCase& c, bool accumulate) {
  return [c, accumulate](Stage& stage) {
    ops::grid_conv(
        stage.backend(),
        {.x_td = stage.activation(normal(c.x(), 1)),
         .weight_gkl = stage.weight(normal({c.weight[0], c.weight[1] * c.weight[2]}, 2)).split_last(c.weight[1]),
         .bias_d = accumulate ? ConstView{} : stage.weight(normal({c.channels}, 3)),
         .columns = c.columns,
         .accumulate = accumulate,
         .y_td = accumulate ? stage.activation_inout("y", normal(c.x(), 4)) : stage.activation_out("y", c.x())});
  };
}

OpCall convolved_backward(const GridCase& c, bool accumulate) {
  return [c, accumulate](Stage& stage) {
    const Shape flat{c.weight[0], c.weight[1] * c.weight[2]};
    ops::grid_conv_backward(
        stage.backend(),
        {.x_td = stage.activation(normal(c.x(), 1)),
         .weight_gkl = stage.weight(normal(flat, 2)).split_last(c.weight[1]),
         .columns = c.columns,
         .dy_td = stage.activation(normal(c.x(), 5)),
         .dx_td = accumulate ? stage.activation_inout("dx", normal(c.x(), 6)) : stage.activation_out("dx", c.x()),
         .accumulate_dx = accumulate,
         .dweight_gkl = stage.weight_inout("dweight", normal(flat, 7)).split_last(c.weight[1]),
         .dbias_d = stage.weight_inout("dbias", normal({c.channels}, 8))});
  };
}

class GridConv : public BackendSuite {};

TEST_P(GridConv, SumsTheNeighboursOfAGrid) {
  // Taps of one: every place gets the sum over its 3 by 3 surroundings.
  // 1 2        1 + 2 + 3 + 4 everywhere, plus the bias
  // 3 4
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::grid_conv(stage.backend(), {.x_td = stage.activation(tensor_of({4, 1}, {1, 2, 3, 4})),
                                     .weight_gkl = stage.weight(tensor_of({1, 3, 3}, std::vector<double>(9, 1.0))),
                                     .bias_d = stage.weight(tensor_of({1}, {0.5})),
                                     .columns = 2,
                                     .y_td = stage.activation_out("y", {4, 1})});
  });

  EXPECT_THAT(named(got, "y").values, ElementsAre(10.5, 10.5, 10.5, 10.5));
}

TEST_P(GridConv, LooksTheWayItsTapsPoint) {
  // One column, taps (1, 10, 100): the token before, the token itself, the token after.
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::grid_conv(stage.backend(), {.x_td = stage.activation(tensor_of({3, 1}, {1, 2, 3})),
                                     .weight_gkl = stage.weight(tensor_of({1, 3, 1}, {1, 10, 100})),
                                     .y_td = stage.activation_out("y", {3, 1})});
  });

  EXPECT_THAT(named(got, "y").values, ElementsAreArray(stored({210, 321, 32})));
}

TEST_P(GridConv, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const GridCase& each : cases()) {
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(testing::Message() << each.rows << " x " << each.columns << " " << to_string(each.weight));
      expect_dense_agreement(backend(), convolved(each, accumulate));
      expect_dense_agreement(backend(), convolved_backward(each, accumulate));
    }
  }
}

TEST_P(GridConv, GivesTheSameBitsForAnyNumberOfThreads) {
  const GridCase c{50, 31, 40, {20, 5, 3}};
  expect_same_bits_for_any_threads(convolved(c, false));
  expect_same_bits_for_any_threads(convolved_backward(c, true));
}

TEST_P(GridConv, RefusesColumnsThatDoNotDivideTheTokensAndEvenTaps) {
  EXPECT_THAT(contract_message([&] {
                Stage stage(backend());
                ops::grid_conv(backend(), {.x_td = stage.activation(normal({5, 2}, 1)),
                                           .weight_gkl = stage.weight(normal({2, 3, 3}, 2)),
                                           .columns = 2,
                                           .y_td = stage.activation_out("y", {5, 2})});
              }),
              HasSubstr("grid_conv: columns = 2 does not divide the tokens of x_td [5, 2]"));
  EXPECT_THAT(contract_message([&] {
                Stage stage(backend());
                ops::grid_conv(backend(), {.x_td = stage.activation(normal({4, 2}, 1)),
                                           .weight_gkl = stage.weight(normal({2, 2, 3}, 2)),
                                           .columns = 2,
                                           .y_td = stage.activation_out("y", {4, 2})});
              }),
              HasSubstr("grid_conv: weight_gkl [2, 2, 3] has an even number of taps"));
}

INSTANTIATE_TEST_SUITE_P(On, GridConv, testing::ValuesIn(back_ends()), name_of_case);

TEST(GridConvReference, GradientsMatchFiniteDifferences) {
  const GridCase c{3, 2, 4, {2, 3, 3}};
  const HostTensor x = normal(c.x(), 1);
  const HostTensor weight = normal({2, 9}, 2);
  const HostTensor bias = normal({4}, 3);
  const HostTensor probe = normal(c.x(), 5);
  const auto loss = [&](const std::vector<HostTensor>& inputs) {
    const Results got = results_of(reference(), [&](Stage& stage) {
      ops::grid_conv(stage.backend(), {.x_td = stage.activation(inputs[0]),
                                       .weight_gkl = stage.weight(inputs[1]).split_last(3),
                                       .bias_d = stage.weight(inputs[2]),
                                       .columns = 2,
                                       .y_td = stage.activation_out("y", c.x())});
    });
    return inner_product(named(got, "y"), probe);
  };
  const Results gradients = results_of(reference(), [&](Stage& stage) {
    ops::grid_conv_backward(stage.backend(), {.x_td = stage.activation(x),
                                              .weight_gkl = stage.weight(weight).split_last(3),
                                              .columns = 2,
                                              .dy_td = stage.activation(probe),
                                              .dx_td = stage.activation_out("dx", c.x()),
                                              .dweight_gkl = stage.weight_inout("dweight", zeros({2, 9})).split_last(3),
                                              .dbias_d = stage.weight_inout("dbias", zeros({4}))});
  });

  expect_gradients(loss, {x, weight, bias},
                   {named(gradients, "dx"), named(gradients, "dweight"), named(gradients, "dbias")});
}

}  // namespace
}  // namespace strandline::test
