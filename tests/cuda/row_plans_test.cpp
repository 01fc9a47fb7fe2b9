#include <gtest/gtest.h>

#include <algorithm>

#include "cuda/plans/conv1d_plan.hpp"
#include "cuda/plans/row_ranges.hpp"
#include "cuda/plans/scratch_plan.hpp"

namespace strandline::cuda {
namespace {

constexpr std::int64_t kLengths[] = {1, 31, 32, 33, 1000, 67584, 67585, 1 << 20, std::int64_t{1} << 28};

TEST(RowRanges, CoverEveryRowAndNoneTwice) {
  for (const std::int64_t rows : kLengths) {
    const RowRanges ranges = plan_row_ranges(rows);

    EXPECT_GE(ranges.count * ranges.rows, rows);
    EXPECT_LT((ranges.count - 1) * ranges.rows, rows) << "the last range is empty";
    EXPECT_LE(ranges.count, 2112);
  }
}

TEST(RowRanges, AreNoneForNoRows) { EXPECT_EQ(plan_row_ranges(0).count, 0); }

TEST(RowRanges, KeepTheirSumsWithinTheMemoryTheyAreGiven) {
  // 16 letters of 768 channels take 48 KiB: 64 MiB hold 1,365 of them. 9,000 letters leave two, 100,000 one.
  constexpr std::int64_t kMost = std::int64_t{64} << 20;

  EXPECT_LE(plan_row_ranges(1 << 28, 16 * 768 * 4, kMost).count, 1365);
  EXPECT_GT(plan_row_ranges(1 << 28, 16 * 768 * 4, kMost).count, 1300);
  EXPECT_EQ(plan_row_ranges(1 << 28, 9000 * 768 * 4, kMost).count, 2);
  EXPECT_EQ(plan_row_ranges(1 << 28, 100000 * 768 * 4, kMost).count, 1);
}

TEST(Conv1dPlan, CoversEveryTokenAndChannel) {
  for (const std::int64_t tokens : kLengths) {
    for (const std::int64_t channels : {1, 127, 128, 129, 1792}) {
      for (const Conv1dPlan& plan : {plan_conv1d(tokens, channels), plan_conv1d_backward(tokens, channels)}) {
        EXPECT_GE(plan.runs * plan.tokens_of_run, tokens);
        EXPECT_LT((plan.runs - 1) * plan.tokens_of_run, tokens) << "the last run is empty";
        EXPECT_GE(plan.chunks * 128, channels);
        EXPECT_LT((plan.chunks - 1) * 128, channels);
      }
    }
  }
}

TEST(Conv1dPlan, KeepsThePartialSumsOfTheGradientSmall) {
  const Conv1dPlan plan = plan_conv1d_backward(std::int64_t{1} << 28, 1792);

  EXPECT_LE(plan.warps(), 8192);
  EXPECT_LE(plan.runs * 1792 * (4 + 1) * 4, 25 << 20);
}

// A slot for every 2,048 tokens, of a value and its token.
TEST(ScratchPlan, OfAMaximumCoversItsPartialResults) {
  constexpr std::int64_t kTokens = std::int64_t{1} << 28;
  constexpr std::int64_t kChannels = 768;

  const std::int64_t bytes = scratch_bytes(
      {.kind = ops::OperationKind::pool, .tokens = kTokens, .sequences = 1, .channels = kChannels}, DType::f32, {});

  EXPECT_GE(bytes, (kTokens / 2048 + 1) * kChannels * 16);
}

TEST(Conv1dPlan, TakesShortRunsWhereLongOnesWouldLeaveTheCardIdle) {
  EXPECT_EQ(plan_conv1d(1 << 20, 1792).tokens_of_run, 128);
  EXPECT_EQ(plan_conv1d(1 << 12, 512).tokens_of_run, 32);
}

}  // namespace
}  // namespace strandline::cuda
