#include <gmock/gmock.h>

#include "core/base/error.hpp"
#include "cuda/plans/scratch_plan.hpp"
#include "cuda/plans/ssd_scan_plan.hpp"

namespace strandline::cuda {
namespace {

TEST(SsdScanPlan, CountsTilesFromTheStartOfEveryChunk) {
  const TileGrid grid{.chunk = 100, .tokens = 64};

  EXPECT_EQ(grid.count(0), 0);
  EXPECT_EQ(grid.count(1), 1);
  EXPECT_EQ(grid.count(100), 2);
  EXPECT_EQ(grid.count(165), 4);
  EXPECT_EQ(grid.place(3), 164);
  EXPECT_EQ(grid.tokens_of(0, 165), 64);
  EXPECT_EQ(grid.tokens_of(1, 165), 36);  // the rest of the chunk
  EXPECT_EQ(grid.tokens_of(2, 165), 64);
  EXPECT_EQ(grid.tokens_of(3, 165), 1);  // the rest of the sequence
}

TEST(SsdScanPlan, TilesCoverASequenceOnce) {
  for (const std::int64_t chunk :
       {std::int64_t{1}, std::int64_t{7}, std::int64_t{64}, std::int64_t{1000}, std::int64_t{1} << 30}) {
    for (const std::int64_t length : {1, 63, 64, 65, 1000, 4099}) {
      const TileGrid grid{.chunk = chunk, .tokens = 32};
      std::int64_t next = 0;
      for (std::int64_t tile = 0; tile < grid.count(length); ++tile) {
        ASSERT_EQ(grid.place(tile), next) << chunk << " " << length;
        ASSERT_GT(grid.tokens_of(tile, length), 0);
        next += grid.tokens_of(tile, length);
      }
      EXPECT_EQ(next, length) << chunk;
    }
  }
}

TEST(SsdScanPlan, TakesTheLongestTileThatFits) {
  const SsdScanLimits hopper{.shared_bytes = 227 * 1024};
  const SsdScanLimits small{.shared_bytes = 99 * 1024};
  const SsdScanShape bf16{.heads = 24, .width = 64, .states = 128, .element_bytes = 2};

  EXPECT_EQ(plan_ssd_scan(bf16, hopper).backward, (ScanTileSizes{64, 64, 128, 2}));
  EXPECT_EQ(plan_ssd_scan(bf16, small).backward.tokens, 32);
  EXPECT_EQ(plan_ssd_scan({.width = 33, .states = 256, .element_bytes = 4}, hopper).forward.tokens, 64);
  EXPECT_EQ(plan_ssd_scan({.width = 5, .states = 6, .chunk = 8, .element_bytes = 4}, hopper).forward,
            (ScanTileSizes{16, 16, 16, 4}));
}

TEST(SsdScanPlan, RefusesStatesThatNoCardHolds) {
  try {
    plan_ssd_scan({.states = 100000}, {});
    FAIL() << "nothing was thrown";
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("N = 100000"));
  }
}

TEST(ScratchPlan, OfAScanDoesNotGrowBeyondItsWindow) {
  const auto bytes = [](std::int64_t tokens) {
    return scratch_bytes({.kind = ops::OperationKind::ssd_scan,
                          .tokens = tokens,
                          .sequences = 1,
                          .heads = 24,
                          .headdim = 64,
                          .groups = 1,
                          .d_state = 128,
                          .chunk = 64},
                         DType::bf16, {});
  };

  EXPECT_LT(bytes(1 << 14), bytes(1 << 16));
  EXPECT_EQ(bytes(1 << 20), bytes(std::int64_t{1} << 28));
  EXPECT_LT(bytes(std::int64_t{1} << 28), std::int64_t{5} << 30);
}

}  // namespace
}  // namespace strandline::cuda
