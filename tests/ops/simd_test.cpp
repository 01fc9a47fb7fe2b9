// The vector kernels of the CPU back end, on every instruction set that this machine has.
#include "core/cpu/simd/simd.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/base/philox.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "tests/core/printed_enums.hpp"

namespace strandline::test {
namespace {

using cpu::SimdTable;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// In units of the last place of the float nearest to `want`.
double error_in_ulp(float got, double want) {
  const float nearest = std::fabs(static_cast<float>(want));
  if (got == static_cast<float>(want)) return 0.0;
  return std::fabs(static_cast<double>(got) - want) /
         (static_cast<double>(std::nextafter(nearest, kInfinity)) - static_cast<double>(nearest));
}

class Simd : public testing::TestWithParam<CpuIsa> {
 protected:
  const SimdTable& simd() const { return cpu::simd_table(GetParam()); }

  float one(void (*kernel)(std::int64_t, const float*, float*), float x) const {
    float y = 0.0F;
    kernel(1, &x, &y);
    return y;
  }

  /// Largest error in ulp over [-110, 88.7], where the results are finite.
  template <class Exact>
  double worst(void (*kernel)(std::int64_t, const float*, float*), const Exact& exact) const {
    std::vector<float> x;
    for (double value = -110.0; value < 88.7; value += 0.0023) x.push_back(static_cast<float>(value));
    std::vector<float> y(x.size());
    kernel(static_cast<std::int64_t>(x.size()), x.data(), y.data());
    double largest = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i)
      largest = std::max(largest, error_in_ulp(y[i], exact(static_cast<double>(x[i]))));
    return largest;
  }
};

TEST_P(Simd, KeepsItsPromisesOfAccuracy) {
  EXPECT_LE(worst(simd().exp, [](double x) { return std::exp(x); }), 2.0);
  EXPECT_LE(worst(simd().sigmoid, [](double x) { return 1.0 / (1.0 + std::exp(-x)); }), 3.0);
  EXPECT_LE(worst(simd().softplus, [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }),
            3.0);
}

TEST_P(Simd, HandlesTheEndsOfTheRange) {
  EXPECT_EQ(one(simd().exp, kInfinity), kInfinity);
  EXPECT_EQ(one(simd().exp, 89.0F), kInfinity);
  EXPECT_EQ(one(simd().exp, -kInfinity), 0.0F);
  EXPECT_EQ(one(simd().exp, 0.0F), 1.0F);
  EXPECT_EQ(one(simd().sigmoid, kInfinity), 1.0F);
  EXPECT_EQ(one(simd().sigmoid, -kInfinity), 0.0F);
  EXPECT_EQ(one(simd().softplus, -kInfinity), 0.0F);
  EXPECT_EQ(one(simd().softplus, 1e30F), 1e30F);
  EXPECT_EQ(one(simd().silu, 1e30F), 1e30F);
}

TEST_P(Simd, LetsNotANumberThrough) {
  const float nan = std::nanf("");

  for (const auto kernel : {simd().exp, simd().sigmoid, simd().silu, simd().softplus})
    EXPECT_TRUE(std::isnan(one(kernel, nan)));
}

TEST_P(Simd, GivesAnElementTheSameBitsWhereverItStands) {
  RandomStream random(1, 2);
  std::vector<float> x(67);
  for (float& value : x) value = static_cast<float>(3.0 * random.normal());
  for (const auto kernel : {simd().exp, simd().sigmoid, simd().silu, simd().softplus}) {
    std::vector<float> all(x.size());
    kernel(67, x.data(), all.data());

    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(one(kernel, x[i]), all[i]) << i;
  }
}

TEST_P(Simd, TransposesWhileItPacks) {
  for (const int rows : {1, 3, 4, 31, 32}) {
    std::vector<float> from(32 * 11);
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i);
    std::vector<float> to(9 * 32, -1.0F);

    simd().pack_transposed(from.data(), 11, rows, 32, 9, to.data());

    for (int k = 0; k < 9; ++k) {
      for (int lane = 0; lane < 32; ++lane) {
        ASSERT_EQ(to[static_cast<std::size_t>(k * 32 + lane)], lane < rows ? static_cast<float>(lane * 11 + k) : 0.0F);
      }
    }
  }
}

TEST_P(Simd, SumsInDoubleWhereItSaysSo) {
  std::vector<float> x(1001, 1.0F);
  x[0] = 4096.0F;

  EXPECT_EQ(simd().sum_of_squares(1001, x.data()), 16777216.0 + 1000.0);
}

std::vector<CpuIsa> instruction_sets() {
  std::vector<CpuIsa> all;
  for (const CpuIsa isa : {CpuIsa::baseline, CpuIsa::avx2, CpuIsa::avx512}) {
    if (has_cpu_isa(isa)) all.push_back(isa);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(On, Simd, testing::ValuesIn(instruction_sets()),
                         [](const auto& isa) { return std::string(name_of(isa.param)); });

}  // namespace
}  // namespace strandline::test
