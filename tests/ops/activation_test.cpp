#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using ops::ActivationKind;
using testing::HasSubstr;

constexpr ActivationKind kKinds[] = {ActivationKind::relu, ActivationKind::gelu, ActivationKind::tanh,
                                     ActivationKind::sigmoid};

OpCall activated(const HostTensor& x, ActivationKind kind) {
  return [x, kind](Stage& stage) {
    ops::activation(stage.backend(),
                    {.x_td = stage.activation(x), .kind = kind, .y_td = stage.activation_out("y", x.shape)});
  };
}

OpCall activated_backward(const HostTensor& x, ActivationKind kind) {
  return [x, kind](Stage& stage) {
    ops::activation_backward(stage.backend(), {.x_td = stage.activation(x),
                                               .kind = kind,
                                               .dy_td = stage.activation(normal(x.shape, 3)),
                                               .dx_td = stage.activation_out("dx", x.shape)});
  };
}

class Activation : public BackendSuite {};

TEST_P(Activation, GivesTheValuesOfTheTables) {
  // Phi(1) = 0.841344746..., tanh(1) = 0.761594156..., sigmoid(1) = 0.731058579...
  const auto at_one_and_minus_one = [&](ActivationKind kind) {
    return named(results_of(backend(), activated(tensor_of({1, 2}, {1, -1}), kind)), "y").values;
  };

  EXPECT_EQ(at_one_and_minus_one(ActivationKind::relu), (std::vector<double>{1, 0}));
  EXPECT_NEAR(at_one_and_minus_one(ActivationKind::gelu)[0], 0.841344746, near(1e-7, 0.84));
  EXPECT_NEAR(at_one_and_minus_one(ActivationKind::gelu)[1], -0.158655254, near(1e-7, 0.16));
  EXPECT_NEAR(at_one_and_minus_one(ActivationKind::tanh)[1], -0.761594156, near(1e-7, 0.76));
  EXPECT_NEAR(at_one_and_minus_one(ActivationKind::sigmoid)[0], 0.731058579, near(1e-7, 0.73));
}

TEST_P(Activation, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const ActivationKind kind : kKinds) {
    for (const Shape& shape : {Shape{0, 3}, Shape{1, 1}, Shape{5, 33}, Shape{70, 300}}) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << " " << to_string(shape));
      const HostTensor x = normal(shape, 1, 0.0, 3.0);
      expect_agreement(backend(), activated(x, kind));
      expect_agreement(backend(), activated_backward(x, kind));
    }
  }
}

TEST_P(Activation, StaysFiniteFarOutAndKeepsNotANumber) {
  for (const ActivationKind kind : kKinds) {
    const HostTensor x = tensor_of({1, 3}, {1e30, -1e30, std::numeric_limits<double>::quiet_NaN()});

    const auto y = named(results_of(backend(), activated(x, kind)), "y").values;
    const auto dx = named(results_of(backend(), activated_backward(x, kind)), "dx").values;

    for (const auto* values : {&y, &dx}) {
      EXPECT_TRUE(std::isfinite((*values)[0])) << static_cast<int>(kind);
      EXPECT_TRUE(std::isfinite((*values)[1])) << static_cast<int>(kind);
    }
    EXPECT_TRUE(std::isnan(y[2])) << static_cast<int>(kind);
  }
}

TEST_P(Activation, WorksInPlace) {
  const HostTensor x = normal({6, 40}, 1);
  for (const ActivationKind kind : kKinds) {
    const auto forward = results_of(backend(), [&](Stage& stage) {
      const View y = stage.activation_inout("y", x);
      ops::activation(stage.backend(), {.x_td = y, .kind = kind, .y_td = y});
    });
    const auto backward = results_of(backend(), [&](Stage& stage) {
      const View dx = stage.activation_inout("dx", normal(x.shape, 3));
      ops::activation_backward(stage.backend(), {.x_td = stage.activation(x), .kind = kind, .dy_td = dx, .dx_td = dx});
    });

    expect_same_bits(forward, results_of(backend(), activated(x, kind)));
    expect_same_bits(backward, results_of(backend(), activated_backward(x, kind)));
  }
}

TEST_P(Activation, GivesTheSameBitsForAnyNumberOfThreadsAndInAnyPlace) {
  const HostTensor x = normal({1500, 96}, 1);
  for (const ActivationKind kind : kKinds) {
    expect_same_bits_for_any_threads(activated(x, kind));
    expect_same_bits_for_any_threads(activated_backward(x, kind));
    EXPECT_EQ(first_difference(named(results_of(backend(), activated(x.rows(7, 19), kind)), "y"),
                               named(results_of(backend(), activated(x, kind)), "y").rows(7, 19)),
              "");
  }
}

TEST_P(Activation, RefusesAnotherShape) {
  Stage stage(backend());

  EXPECT_THAT(contract_message([&] {
                ops::activation(backend(), {.x_td = stage.activation(normal({2, 8}, 1)),
                                            .y_td = stage.activation_out("y", {3, 8})});
              }),
              HasSubstr("activation: y_td has the shape [3, 8], expected [2, 8]"));
}

INSTANTIATE_TEST_SUITE_P(On, Activation, testing::ValuesIn(back_ends()), name_of_case);

TEST(ActivationReference, GradientsMatchFiniteDifferences) {
  const HostTensor x = normal({3, 5}, 1, 0.0, 2.0);
  const HostTensor probe = normal({3, 5}, 3);
  for (const ActivationKind kind : kKinds) {
    const auto loss = [&](const std::vector<HostTensor>& inputs) {
      return inner_product(named(results_of(reference(), activated(inputs[0], kind)), "y"), probe);
    };

    expect_gradients(loss, {x}, {named(results_of(reference(), activated_backward(x, kind)), "dx")});
  }
}

}  // namespace
}  // namespace strandline::test
