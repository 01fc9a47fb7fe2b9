#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

HostTensor weight_of(std::int64_t channels) { return normal({channels}, 2, 1.0, 0.3); }
HostTensor bias_of(std::int64_t channels) { return normal({channels}, 6); }

OpCall normed(const HostTensor& x) {
  return [x](Stage& stage) {
    ops::layer_norm(stage.backend(), {.x_td = stage.activation(x),
                                      .weight_d = stage.weight(weight_of(x.shape[1])),
                                      .bias_d = stage.weight(bias_of(x.shape[1])),
                                      .y_td = stage.activation_out("y", x.shape)});
  };
}

OpCall normed_backward(const HostTensor& x, bool accumulate) {
  return [x, accumulate](Stage& stage) {
    const Shape d{x.shape[1]};
    ops::layer_norm_backward(stage.backend(), {.x_td = stage.activation(x),
                                               .weight_d = stage.weight(weight_of(d[0])),
                                               .dy_td = stage.activation(normal(x.shape, 3)),
                                               .dx_td = accumulate ? stage.activation_inout("dx", normal(x.shape, 4))
                                                                   : stage.activation_out("dx", x.shape),
                                               .accumulate_dx = accumulate,
                                               .dweight_d = stage.weight_inout("dweight", normal(d, 5)),
                                               .dbias_d = stage.weight_inout("dbias", normal(d, 7))});
  };
}

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{{0, 4}, {40, 2}, {1, 7}, {5, 64}, {2, 129}, {300, 33}, {5, 768}, {2, 2100}};
  return all;
}

class LayerNorm : public BackendSuite {};

TEST_P(LayerNorm, TakesTheMeanAwayAndDividesByTheDeviation) {
  // Of (1, 3): mean 2, variance 1; so -1 and 1, times 2 and 3, plus 10 and 20.
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::layer_norm(stage.backend(), {.x_td = stage.activation(tensor_of({1, 2}, {1, 3})),
                                      .weight_d = stage.weight(tensor_of({2}, {2, 3})),
                                      .bias_d = stage.weight(tensor_of({2}, {10, 20})),
                                      .eps = 0.0,
                                      .y_td = stage.activation_out("y", {1, 2})});
  });

  EXPECT_EQ(named(got, "y").values, (std::vector<double>{8, 23}));
}

TEST_P(LayerNorm, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(to_string(shape));
    const HostTensor x = normal(shape, 1);
    expect_agreement(backend(), normed(x));
    expect_agreement(backend(), normed_backward(x, false));
    expect_agreement(backend(), normed_backward(x, true));
  }
}

TEST_P(LayerNorm, GivesZerosPlusTheBiasForARowOfEqualNumbers) {
  const HostTensor x = tensor_of({1, 4}, {5, 5, 5, 5});

  EXPECT_EQ(named(results_of(backend(), normed(x)), "y").values, stored(bias_of(4).values));
}

TEST_P(LayerNorm, KeepsItsPrecisionFarFromZero) { expect_agreement(backend(), normed(normal({5, 64}, 1, 1000.0))); }

TEST_P(LayerNorm, WorksInPlace) {
  const HostTensor x = normal({6, 40}, 1);
  const auto in_place = results_of(backend(), [&](Stage& stage) {
    const View y = stage.activation_inout("y", x);
    ops::layer_norm(
        stage.backend(),
        {.x_td = y, .weight_d = stage.weight(weight_of(40)), .bias_d = stage.weight(bias_of(40)), .y_td = y});
  });

  expect_same_bits(in_place, results_of(backend(), normed(x)));
}

TEST_P(LayerNorm, LeavesAbsentGradientsOut) {
  const HostTensor x = normal({9, 24}, 1);
  const Results all = results_of(backend(), normed_backward(x, false));
  const Results got = results_of(backend(), [&](Stage& stage) {
    ops::layer_norm_backward(stage.backend(), {.x_td = stage.activation(x),
                                               .weight_d = stage.weight(weight_of(24)),
                                               .dy_td = stage.activation(normal(x.shape, 3)),
                                               .dbias_d = stage.weight_inout("dbias", normal({24}, 7))});
  });

  EXPECT_EQ(first_difference(named(got, "dbias"), named(all, "dbias")), "");
}

TEST_P(LayerNorm, GivesTheSameBitsForAnyNumberOfThreadsAndInAnyPlace) {
  const HostTensor x = normal({1500, 96}, 1);
  expect_same_bits_for_any_threads(normed(x));
  expect_same_bits_for_any_threads(normed_backward(x, true));
  EXPECT_EQ(first_difference(named(results_of(backend(), normed(x.rows(13, 31))), "y"),
                             named(results_of(backend(), normed(x)), "y").rows(13, 31)),
            "");
}

TEST_P(LayerNorm, RefusesABiasOfAnotherWidth) {
  Stage stage(backend());

  EXPECT_THAT(contract_message([&] {
                ops::layer_norm(backend(), {.x_td = stage.activation(normal({2, 8}, 1)),
                                            .weight_d = stage.weight(weight_of(8)),
                                            .bias_d = stage.weight(bias_of(7)),
                                            .y_td = stage.activation_out("y", {2, 8})});
              }),
              HasSubstr("layer_norm: bias_d has the shape [7], expected [8]"));
}

INSTANTIATE_TEST_SUITE_P(On, LayerNorm, testing::ValuesIn(back_ends()), name_of_case);

TEST(LayerNormReference, GradientsMatchFiniteDifferences) {
  const HostTensor x = normal({3, 4}, 1);
  const HostTensor probe = normal({3, 4}, 3);
  const auto loss = [&](const std::vector<HostTensor>& inputs) {
    const Results got = results_of(reference(), [&](Stage& stage) {
      ops::layer_norm(stage.backend(), {.x_td = stage.activation(inputs[0]),
                                        .weight_d = stage.weight(inputs[1]),
                                        .bias_d = stage.weight(inputs[2]),
                                        .y_td = stage.activation_out("y", {3, 4})});
    });
    return inner_product(named(got, "y"), probe);
  };
  const Results gradients = results_of(reference(), [&](Stage& stage) {
    ops::layer_norm_backward(stage.backend(), {.x_td = stage.activation(x),
                                               .weight_d = stage.weight(weight_of(4)),
                                               .dy_td = stage.activation(probe),
                                               .dx_td = stage.activation_out("dx", {3, 4}),
                                               .dweight_d = stage.weight_inout("dweight", zeros({4})),
                                               .dbias_d = stage.weight_inout("dbias", zeros({4}))});
  });

  expect_gradients(loss, {x, weight_of(4), bias_of(4)},
                   {named(gradients, "dx"), named(gradients, "dweight"), named(gradients, "dbias")});
}

}  // namespace
}  // namespace strandline::test
