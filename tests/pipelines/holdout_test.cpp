#include "pipelines/dna/holdout.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "tests/pipelines/genomes_for_tests.hpp"

namespace strandline {
namespace {

const std::vector<std::string> kNames{"poor", "rich"};

// Smallest distance between a training and a held-out region on one contig; negative when they overlap.
std::int64_t smallest_gap(const ClassRegions& regions) {
  std::int64_t gap = INT64_MAX;
  for (const Region& training : regions.training) {
    for (const Region& held : regions.held_out) {
      if (training.contig == held.contig)
        gap = std::min(gap, std::max(held.begin - training.end, training.begin - held.end));
    }
  }
  return gap;
}

TEST(Holdout, KeepsAGapOfOneWindowWhereAContigIsCut) {
  GenomeStore store;
  store.add_contig("one", 0, testing::random_bases(10000, 1));
  store.add_contig("two", 1, testing::random_bases(20000, 2));

  const auto plan = plan_holdout(store, kNames, {.fraction = 0.2, .shortest_bases = 300, .window_bases = 500});

  for (const ClassRegions& regions : plan) {
    ASSERT_EQ(regions.training.size(), 1U);
    ASSERT_EQ(regions.held_out.size(), 1U);
    EXPECT_EQ(smallest_gap(regions), 500);
  }
  EXPECT_EQ(plan[0].held_out[0].length(), 2000);
  EXPECT_EQ(plan[1].held_out[0].length(), 4000);
}

TEST(Holdout, HoldsOutWholeContigsWhereTheyFit) {
  GenomeStore store;
  for (std::int32_t index = 0; index < 40; ++index) {
    store.add_contig(std::to_string(index), index % 2, testing::random_bases(1000, 1));
  }

  const auto plan =
      plan_holdout(store, kNames, {.fraction = 0.2, .shortest_bases = 300, .window_bases = 500, .seed = 3});

  for (const ClassRegions& regions : plan) {
    EXPECT_EQ(regions.held_out.size(), 4U);
    EXPECT_EQ(regions.training.size(), 16U);
    EXPECT_EQ(smallest_gap(regions), INT64_MAX);  // no contig is on both sides
  }
}

TEST(Holdout, TakesContigsByNameAndFilesAsAWhole) {
  const GenomeStore store = testing::two_class_store();

  const auto plan =
      plan_holdout(store, kNames, {.contig_patterns = {"c?_b", "c1_c*"}, .shortest_bases = 300, .window_bases = 300});

  ASSERT_EQ(plan[0].held_out.size(), 1U);
  EXPECT_EQ(plan[0].held_out[0].contig, 1);
  ASSERT_EQ(plan[1].held_out.size(), 2U);
  EXPECT_EQ(plan[1].training.size(), 1U);
}

TEST(Holdout, NeverOverlapsWhateverTheRule) {
  const GenomeStore store = testing::two_class_store();
  for (const double fraction : {0.05, 0.1, 0.3, 0.5}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      for (const ClassRegions& regions : plan_holdout(
               store, kNames, {.fraction = fraction, .shortest_bases = 200, .window_bases = 400, .seed = seed})) {
        EXPECT_GE(smallest_gap(regions), 400);
      }
    }
  }
}

TEST(Holdout, SaysWhatIsMissing) {
  const GenomeStore store = testing::two_class_store();

  EXPECT_THROW(plan_holdout(store, kNames, {.contig_patterns = {"chr9"}, .shortest_bases = 300}), DataError);
  EXPECT_THROW(plan_holdout(store, kNames, {.contig_patterns = {"c0_*"}, .shortest_bases = 300}), DataError);
  EXPECT_THROW(plan_holdout(store, kNames, {.shortest_bases = 6000, .window_bases = 6000}), DataError);
  EXPECT_THROW(plan_holdout(store, kNames, {.fraction = 0.1, .shortest_bases = 2600, .window_bases = 2600}), DataError);
}

TEST(Holdout, MatchesPatternsAsAShellDoes) {
  EXPECT_TRUE(matches_pattern("chr12", "chr*"));
  EXPECT_TRUE(matches_pattern("chr12", "*1?"));
  EXPECT_TRUE(matches_pattern("aXbXc", "a*X*c"));
  EXPECT_TRUE(matches_pattern("", "*"));
  EXPECT_FALSE(matches_pattern("chr12", "chr"));
  EXPECT_FALSE(matches_pattern("chr", "chr?"));
  EXPECT_FALSE(matches_pattern("abc", "*b"));
}

}  // namespace
}  // namespace strandline
