#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

OpCall steps(std::int64_t count, double grad_scale) {
  return [=](Stage& stage) {
    const View param = stage.weight_inout("param", normal({count}, 1));
    const View m = stage.weight_inout("m", zeros({count}));
    const View v = stage.weight_inout("v", zeros({count}));
    for (std::int64_t step = 1; step <= 3; ++step) {
      ops::adamw(stage.backend(), {.param_n = param,
                                   .grad_n = stage.weight(normal({count}, static_cast<std::uint64_t>(10 + step))),
                                   .m_n = m,
                                   .v_n = v,
                                   .learning_rate = 1e-2,
                                   .weight_decay = 0.1,
                                   .grad_scale = grad_scale,
                                   .step = step});
    }
  };
}

class Adamw : public BackendSuite {};

TEST_P(Adamw, FirstStepMovesByTheLearningRateAgainstTheGradient) {
  // At step 1 m / (1 - beta1) = g and v / (1 - beta2) = g^2: the direction is g / |g|. Decay takes 0.1 * 0.5 of 10
  // more.
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::adamw(stage.backend(), {.param_n = stage.weight_inout("param", tensor_of({2}, {1, 10})),
                                 .grad_n = stage.weight(tensor_of({2}, {4, -8})),
                                 .m_n = stage.weight_inout("m", zeros({2})),
                                 .v_n = stage.weight_inout("v", zeros({2})),
                                 .learning_rate = 0.1,
                                 .eps = 0.0,
                                 .weight_decay = 0.5,
                                 .grad_scale = 0.5});
  });

  EXPECT_NEAR(named(got, "param").values[0], 1 - 0.1 - 0.05, 1e-6);
  EXPECT_NEAR(named(got, "param").values[1], 10 + 0.1 - 0.5, 1e-5);
  EXPECT_NEAR(named(got, "m").values[0], 0.2, 1e-6);
  EXPECT_NEAR(named(got, "v").values[1], 0.016, 1e-7);
}

TEST_P(Adamw, AgreesWithTheReference) {
  for (const std::int64_t count : {0, 1, 17, 3000}) {
    SCOPED_TRACE(count);
    expect_agreement(backend(), steps(count, 0.3));
  }
}

TEST_P(Adamw, GivesTheSameBitsForAnyNumberOfThreads) { expect_same_bits_for_any_threads(steps(50001, 1.0)); }

TEST_P(Adamw, SumsSquaresInDouble) {
  // 2^24 + 1 is lost in single precision; 40,001 elements make more than one block.
  HostTensor x = tensor_of({40001}, std::vector<double>(40001, 1.0));
  x.values[0] = 4096.0;
  Stage stage(backend());

  EXPECT_EQ(ops::sum_of_squares(backend(), stage.weight(x)), 16777216.0 + 40000.0);
}

TEST_P(Adamw, SumsSquaresTheSameForAnyNumberOfThreads) {
  const HostTensor x = normal({100003}, 1);
  const auto sum = [&](int threads) {
    const auto team = GetParam().make(threads);
    Stage stage(*team);
    return ops::sum_of_squares(*team, stage.weight(x));
  };

  const double alone = sum(1);

  for (const int threads : {2, 3, 7}) EXPECT_EQ(sum(threads), alone);
}

TEST_P(Adamw, RefusesStepZeroAndOtherSizes) {
  Stage stage(backend());
  const View param = stage.weight_inout("param", zeros({3}));
  const View m = stage.weight_inout("m", zeros({3}));
  const View v = stage.weight_inout("v", zeros({3}));

  EXPECT_THAT(contract_message([&] {
                ops::adamw(backend(),
                           {.param_n = param, .grad_n = stage.weight(zeros({3})), .m_n = m, .v_n = v, .step = 0});
              }),
              HasSubstr("adamw: step = 0"));
  EXPECT_THAT(contract_message([&] {
                ops::adamw(backend(), {.param_n = param, .grad_n = stage.weight(zeros({4})), .m_n = m, .v_n = v});
              }),
              HasSubstr("grad_n has the shape [4], expected [3]"));
}

INSTANTIATE_TEST_SUITE_P(On, Adamw, testing::ValuesIn(back_ends()), name_of_case);

}  // namespace
}  // namespace strandline::test
