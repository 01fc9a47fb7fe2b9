#include "core/base/philox.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

namespace strandline {
namespace {

using ::testing::ElementsAre;

// The known answers that come with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_THAT(philox(0, 0, 0), ElementsAre(0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U));
  const std::uint64_t ones = ~std::uint64_t{0};
  EXPECT_THAT(philox(ones, ones, ones), ElementsAre(0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU));
  EXPECT_THAT(philox(0x299f31d0a4093822U, 0x0370734413198a2eU, 0x85a308d3243f6a88U),
              ElementsAre(0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U));
}

TEST(Philox, GivesAUniformBelowOne) {
  EXPECT_EQ(uniform_from(0), 0.0F);
  EXPECT_LT(uniform_from(~0U), 1.0F);
}

TEST(RandomStream, ContinuesFromItsPosition) {
  RandomStream whole(7, 3);
  for (int i = 0; i < 5; ++i) whole.next_u64();
  RandomStream resumed(7, 3, whole.position());
  EXPECT_EQ(whole.next_u64(), resumed.next_u64());
}

TEST(RandomStream, DiffersBetweenSeedsAndStreams) {
  std::set<std::uint64_t> draws;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (std::uint64_t stream = 0; stream < 4; ++stream) draws.insert(RandomStream(seed, stream).next_u64());
  }
  EXPECT_EQ(draws.size(), 16U);
}

TEST(RandomStream, DrawsEveryIntegerBelowABoundEquallyOften) {
  constexpr int kDraws = 60000;
  std::array<int, 6> counts{};
  RandomStream random(1, 2);
  for (int i = 0; i < kDraws; ++i) ++counts.at(random.below(counts.size()));
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 6, 5 * 92);  // five standard deviations
}

TEST(RandomStream, DrawsAStandardNormal) {
  constexpr int kDraws = 100000;
  RandomStream random(4, 0);
  double sum = 0.0;
  double squares = 0.0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.016);      // five standard deviations
  EXPECT_NEAR(squares / kDraws, 1.0, 0.023);  // five standard deviations
}

}  // namespace
}  // namespace strandline
