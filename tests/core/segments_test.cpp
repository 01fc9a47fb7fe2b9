#include "core/model/segments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace strandline {
namespace {

using ::testing::ElementsAre;

TEST(SegmentPlan, PutsWholeSequencesTogetherAsLongAsTheyFit) {
  const std::vector<std::int64_t> seq_begin{0, 3, 8, 8, 10, 16};
  const SegmentPlan plan(seq_begin, 8, 4);
  ASSERT_EQ(plan.segments().size(), 2U);
  EXPECT_EQ(plan.segments()[0].tokens, (TokenRange{0, 8}));
  EXPECT_THAT(plan.segments()[0].seq_begin, ElementsAre(0, 3, 8, 8));
  EXPECT_EQ(plan.segments()[1].tokens, (TokenRange{8, 16}));
  EXPECT_THAT(plan.segments()[1].seq_begin, ElementsAre(0, 2, 8));
  EXPECT_FALSE(plan.segments()[0].in_pieces);
}

TEST(SegmentPlan, CutsOnlySequencesThatDoNotFit) {
  const std::vector<std::int64_t> seq_begin{0, 2, 21, 22};
  const SegmentPlan plan(seq_begin, 10, 4);
  EXPECT_EQ(plan.piece_tokens(), 8);
  ASSERT_EQ(plan.segments().size(), 3U);
  EXPECT_FALSE(plan.segments()[0].in_pieces);
  EXPECT_TRUE(plan.segments()[1].in_pieces);
  EXPECT_EQ(plan.segments()[1].tokens, (TokenRange{2, 21}));
  EXPECT_THAT(plan.segments()[1].seq_begin, ElementsAre(0, 19));
  EXPECT_FALSE(plan.segments()[2].in_pieces);
}

TEST(SegmentPlan, CoversEveryPackInOrder) {
  for (const std::int64_t limit : {1, 4, 7, 100}) {
    const std::vector<std::int64_t> seq_begin{0, 0, 5, 5, 17, 18, 40, 40};
    const SegmentPlan plan(seq_begin, limit, 4);
    std::int64_t token = 0;
    std::size_t sequences = 0;
    for (const Segment& segment : plan.segments()) {
      EXPECT_EQ(segment.tokens.begin, token);
      EXPECT_EQ(segment.seq_begin.front(), 0);
      EXPECT_EQ(segment.seq_begin.back(), segment.tokens.size());
      EXPECT_EQ(segment.in_pieces, segment.tokens.size() > plan.piece_tokens());
      EXPECT_TRUE(!segment.in_pieces || segment.seq_begin.size() == 2U);
      token = segment.tokens.end;
      sequences += segment.seq_begin.size() - 1;
    }
    EXPECT_EQ(token, 40);
    EXPECT_EQ(sequences, seq_begin.size() - 1);
  }
}

TEST(SegmentPlan, TakesAnEmptyPack) {
  const std::vector<std::int64_t> none{0};
  EXPECT_TRUE(SegmentPlan(none, 16, 4).segments().empty());
}

TEST(SegmentPlan, KeepsItsOffsetsWhenItMoves) {
  const std::vector<std::int64_t> seq_begin{0, 3, 5};
  SegmentPlan plan(seq_begin, 16, 4);
  const SegmentPlan moved = std::move(plan);
  EXPECT_THAT(moved.segments()[0].seq_begin, ElementsAre(0, 3, 5));
}

TEST(Pieces, AreCountedFromWhereTheScanStarts) {
  EXPECT_EQ(count_pieces(19, 8), 3);
  EXPECT_EQ(piece_at(0, 19, 8, false), (TokenRange{0, 8}));
  EXPECT_EQ(piece_at(2, 19, 8, false), (TokenRange{16, 19}));
  EXPECT_EQ(piece_at(0, 19, 8, true), (TokenRange{11, 19}));
  EXPECT_EQ(piece_at(2, 19, 8, true), (TokenRange{0, 3}));
}

}  // namespace
}  // namespace strandline
