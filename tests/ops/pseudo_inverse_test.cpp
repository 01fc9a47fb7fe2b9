#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

// Rows that are softmaxes of random scores, as in attention, heavier on the diagonal.
HostTensor stochastic(std::int64_t heads, std::int64_t m) {
  HostTensor a = normal({heads, m, m}, 1);
  for (std::int64_t row = 0; row < heads * m; ++row) {
    double* values = a.values.data() + row * m;
    double sum = 0.0;
    for (std::int64_t k = 0; k < m; ++k) sum += values[k] = std::exp(values[k] + (k == row % m ? 3.0 : 0.0));
    for (std::int64_t k = 0; k < m; ++k) values[k] = static_cast<double>(static_cast<float>(values[k] / sum));
  }
  return a;
}

OpCall inverted(const HostTensor& a, std::int64_t iterations) {
  return [a, iterations](Stage& stage) {
    ops::pseudo_inverse(
        stage.backend(),
        {.a_hmm = stage.activation(a), .iterations = iterations, .z_hmm = stage.activation_out("z", a.shape)});
  };
}

OpCall inverted_backward(const HostTensor& a, std::int64_t iterations) {
  return [a, iterations](Stage& stage) {
    ops::pseudo_inverse_backward(stage.backend(), {.a_hmm = stage.activation(a),
                                                   .iterations = iterations,
                                                   .dz_hmm = stage.activation(normal(a.shape, 3)),
                                                   .da_hmm = stage.activation_out("da", a.shape)});
  };
}

class PseudoInverse : public BackendSuite {};

TEST_P(PseudoInverse, TendsToTheInverse) {
  // (2 1; 1 1) has the inverse (1 -1; -1 2).
  const HostTensor z = named(results_of(backend(), inverted(tensor_of({1, 2, 2}, {2, 1, 1, 1}), 12)), "z");

  EXPECT_NEAR(z.values[0], 1.0, near(1e-5, 1.0));
  EXPECT_NEAR(z.values[1], -1.0, near(1e-5, 1.0));
  EXPECT_NEAR(z.values[2], -1.0, near(1e-5, 1.0));
  EXPECT_NEAR(z.values[3], 2.0, near(1e-5, 2.0));
}

TEST_P(PseudoInverse, TakesOneStepAsTheFormulaSays) {
  // a = 2 alone: c = r = 2, z = 1/2, a z = 1, z' = 1/2 (13 - (15 - (7 - 1))) / 4 = 1/2.  a = (1; 4), two heads: c r =
  // 16, z = 1/16 and 1/4; the second has a z = 1 and stays; the first z' = 1/16 (13 - 1/16 (15 - 1/16 (7 - 1/16))) / 4.
  const double t = 1.0 / 16.0;
  const auto z = named(results_of(backend(), inverted(tensor_of({2, 1, 1}, {1, 4}), 1)), "z").values;

  EXPECT_EQ(named(results_of(backend(), inverted(tensor_of({1, 1, 1}, {2}), 1)), "z").values[0], 0.5);
  EXPECT_NEAR(z[0], t * (13 - t * (15 - t * (7 - t))) / 4, near(1e-7, t * 3.1));
  EXPECT_EQ(z[1], 0.25);
}

TEST_P(PseudoInverse, AgreesWithTheReference) {
  for (const Shape& shape : {Shape{0, 3}, Shape{1, 1}, Shape{3, 4}, Shape{2, 33}, Shape{1, 70}}) {
    SCOPED_TRACE(to_string(shape));
    const HostTensor a = stochastic(shape[0], shape[1]);
    expect_dense_agreement(backend(), inverted(a, 6));
    expect_dense_agreement(backend(), inverted_backward(a, 6));
    expect_dense_agreement(backend(), inverted_backward(a, 1));
  }
}

TEST_P(PseudoInverse, GivesTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_threads(inverted(stochastic(3, 70), 6));
  expect_same_bits_for_any_threads(inverted_backward(stochastic(3, 70), 6));
}

TEST_P(PseudoInverse, RefusesWhatIsNotSquare) {
  EXPECT_THAT(contract_message([&] {
                results_of(backend(), inverted(normal({2, 3, 4}, 1), 6));
              }),
              HasSubstr("pseudo_inverse: a_hmm has the shape [2, 3, 4], expected [2, 3, 3]"));
}

INSTANTIATE_TEST_SUITE_P(On, PseudoInverse, testing::ValuesIn(back_ends()), name_of_case);

TEST(PseudoInverseReference, GradientsMatchFiniteDifferences) {
  // Rows of different sums: where two are the largest, there is no derivative to compare with.
  HostTensor a = stochastic(2, 3);
  for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] *= 1.0 + 0.1 * static_cast<double>(i / 3);
  const HostTensor probe = normal(a.shape, 3);
  const auto loss = [&](const std::vector<HostTensor>& inputs) {
    return inner_product(named(results_of(reference(), inverted(inputs[0], 4)), "z"), probe);
  };

  expect_gradients(loss, {a}, {named(results_of(reference(), inverted_backward(a, 4)), "da")});
}

}  // namespace
}  // namespace strandline::test
