#include "pipelines/dna/record_batcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/dna/shard.hpp"
#include "pipelines/dna/spooled_text.hpp"
#include "pipelines/dna/windows.hpp"

namespace strandline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Records = std::vector<std::pair<std::string, std::string>>;  // name, bases

// Records from memory, in pieces of a chosen length.
class MemoryStream final : public SequenceStream {
 public:
  MemoryStream(Records records, std::size_t piece_bases) : records_(std::move(records)), piece_bases_(piece_bases) {}

  bool next(SequencePiece& piece) override {
    if (record_ == records_.size()) return false;
    const auto& [name, bases] = records_[record_];
    piece = SequencePiece();
    piece.record = static_cast<std::int64_t>(record_);
    piece.name = name;
    piece.offset = static_cast<std::int64_t>(offset_);
    piece.bases = bases.substr(offset_, piece_bases_);
    offset_ += piece.bases.size();
    piece.last = offset_ == bases.size();
    if (piece.last) {
      ++record_;
      offset_ = 0;
    }
    return true;
  }
  std::string format() const override { return "fasta"; }
  ReadCounts counts() const override { return {}; }

 private:
  Records records_;
  std::size_t piece_bases_;
  std::size_t record_ = 0;
  std::size_t offset_ = 0;
};

std::string letters(std::span<const std::int32_t> ids) {
  std::string text;
  for (const std::int32_t id : ids) text += id >= dna::kA && id <= dna::kN ? "ACGTN"[id - dna::kA] : '?';
  return text;
}

// "name: window window (note)", one per record, whatever the batches.
std::vector<std::string> run(const Records& records, RecordBatcherOptions options, std::size_t piece_bases = 5) {
  MemoryStream stream(records, piece_bases);
  std::vector<std::string> lines;
  std::string windows;
  const RecordBatcher::Emit emit = [&](EncodeWork work) {
    if (work.kind == EncodeWork::Kind::piece) {
      windows.append(windows.empty() ? " " : "+").append(letters(work.piece));
      return;
    }
    const auto offsets = work.batch.packed.seq_begin();
    std::int64_t next = 0;
    const auto take_until = [&](std::int64_t end) {
      for (; next < std::min(end, work.batch.packed.sequences()); ++next) {
        const auto at = static_cast<std::size_t>(next);
        const auto begin = static_cast<std::size_t>(offsets[at]);
        const auto end_of_window = static_cast<std::size_t>(offsets[at + 1]);
        windows.append(" ").append(letters(work.batch.packed.ids().subspan(begin, end_of_window - begin)));
      }
    };
    for (auto& end : work.batch.ends) {
      take_until(end.sequences);
      std::string line = end.record.name;
      line.append(":").append(windows);
      if (!end.record.note.empty()) line.append(" (").append(end.record.note).append(")");
      lines.push_back(std::move(line));
      windows.clear();
    }
    take_until(work.batch.packed.sequences());
  };
  RecordBatcher(stream, options, emit).run();
  return lines;
}

RecordBatcherOptions with_windows(std::int64_t window, std::int64_t stride, std::int64_t tokens = 8) {
  RecordBatcherOptions options;
  options.windows = {window, stride};
  options.pack.tokens = tokens;
  return options;
}

TEST(RecordBatcher, CutsWindowsThatCoverEveryBase) {
  const Records records{{"r", "ACGTACGTAC"}};
  EXPECT_THAT(run(records, with_windows(4, 0)), ElementsAre("r: ACGT ACGT AC"));
  EXPECT_THAT(run(records, with_windows(4, 2)), ElementsAre("r: ACGT GTAC ACGT GTAC"));
  EXPECT_THAT(run(records, with_windows(4, 3)), ElementsAre("r: ACGT TACG GTAC"));
  EXPECT_THAT(run(records, with_windows(5, 5)), ElementsAre("r: ACGTA CGTAC"));
  EXPECT_THAT(run(records, with_windows(100, 0)), ElementsAre("r: ACGTACGTAC"));
}

TEST(RecordBatcher, GivesTheSameForAnyPieceAndAnyBudget) {
  const Records records{
      {"a", "ACGTACGTACGGGTTTACNNNNNNNNACGTA"}, {"b", "AC"}, {"c", ""}, {"d", "NNN"}, {"e", "ACGTAAA"}};
  const auto expected = run(records, with_windows(4, 3, 1 << 20), 1000);
  for (const std::size_t piece : {1, 2, 3, 4, 5, 7, 31}) {
    for (const std::int64_t tokens : {1, 4, 9, 30})
      EXPECT_EQ(run(records, with_windows(4, 3, tokens), piece), expected);
  }
}

TEST(RecordBatcher, GivesEveryRecordAnEndAndAReason) {
  RecordBatcherOptions options = with_windows(4, 0);
  options.filter = {.min_length = 2, .max_n_fraction = 0.5};
  const Records records{{"empty", ""},      {"short", "A"},   {"only_n", "NNNN"},
                        {"many_n", "ANNN"}, {"half", "ANNC"}, {"good", "ACG"}};
  EXPECT_THAT(run(records, options), ElementsAre("empty: (empty)", "short: (shorter than 2)", "only_n: (no base but N)",
                                                 "many_n: (n_fraction above 0.5)", "half: ANNC", "good: ACG"));
}

TEST(RecordBatcher, LeavesOutWindowsWithoutAKnownBase) {
  EXPECT_THAT(run({{"gap", "ACGTNNNNRYKMACGT"}}, with_windows(4, 0)), ElementsAre("gap: ACGT ACGT"));
}

TEST(RecordBatcher, SendsALongWholeRecordInPiecesWhenAsked) {
  RecordBatcherOptions options = with_windows(0, 0, 6);
  const Records records{{"a", "ACG"}, {"long", "ACGTACGTACGT"}, {"b", "TT"}};
  EXPECT_THAT(run(records, options), ElementsAre("a: ACG", "long: ACGTACGTACGT", "b: TT"));
  options.pieces = true;
  EXPECT_THAT(run(records, options), ElementsAre("a: ACG", "long: ACGTACGTAC+GT", "b: TT"));
}

TEST(RecordBatcher, RefusesASequenceThatDoesNotFitAndSaysItsWholeLength) {
  RecordBatcherOptions options = with_windows(0, 0, 6);
  options.max_sequence = 8;
  options.refuse = [](const std::string& name, std::int64_t bases) {
    throw MemoryError(name + " " + std::to_string(bases));
  };
  EXPECT_THAT(run({{"fits", "ACGTACGT"}}, options), ElementsAre("fits: ACGTACGT"));
  try {
    run({{"long", "ACGTACGTACGTACGTACGT"}}, options);
    FAIL();
  } catch (const MemoryError& error) {
    EXPECT_STREQ(error.what(), "long 20");
  }
}

TEST(RecordBatcher, SplitsARecordStreamIntoShardsThatAddUp) {
  const Records records{{"e0", ""},     {"a", "ACGTACGTAC"}, {"b", "ACG"}, {"e1", ""},
                        {"c", "ACGTA"}, {"d", "A"},          {"e2", ""}};
  const auto expected = run(records, with_windows(4, 0));
  for (const std::int64_t count : {1, 2, 3, 7, 30}) {
    std::vector<std::string> joined;
    for (std::int64_t index = 1; index <= count; ++index) {
      RecordBatcherOptions options = with_windows(4, 0);
      options.shard = {index, count};
      options.total_bases = 19;
      const auto part = run(records, options);
      joined.insert(joined.end(), part.begin(), part.end());
    }
    EXPECT_EQ(joined, expected) << count << " shards";
  }
}

TEST(Shard, IsReadFromTextOrRefused) {
  EXPECT_EQ(parse_shard("2/8").index, 2);
  EXPECT_EQ(parse_shard("2/8").count, 8);
  for (const char* text : {"", "2", "0/4", "5/4", "1/0", "-1/4", "1/4x", "a/b", "1//4", "1/99999999999999999999"}) {
    EXPECT_THROW(parse_shard(text), ContractError) << text;
  }
}

TEST(Shard, DoesNotOverflowOnAGenomeOfAnySize) {
  EXPECT_EQ(shard_of((std::int64_t{1} << 60) - 1, std::int64_t{1} << 60, 1'000'000), 1'000'000);
  EXPECT_EQ(shard_of(std::int64_t{1} << 59, std::int64_t{1} << 60, 2), 2);
  EXPECT_EQ(shard_of(0, 0, 5), 1);
}

TEST(Shard, RefusesStandardInputWithTheCure) { EXPECT_THROW(count_bases("-", {}, {}), ContractError); }

TEST(SpooledText, GivesBackLongAndShortText) {
  for (const std::size_t memory : {1U, 10U, 1000U}) {
    SpooledText spooled(memory);
    std::string expected;
    for (int i = 0; i < 100; ++i) {
      const std::string text = std::to_string(i).append("\n");
      spooled.append(text);
      expected += text;
    }
    for (int pass = 0; pass < 2; ++pass) {
      std::string read;
      spooled.read([&](std::string_view piece) { read += piece; });
      EXPECT_EQ(read, expected);
    }
    EXPECT_EQ(spooled.size(), static_cast<std::int64_t>(expected.size()));
  }
}

}  // namespace
}  // namespace strandline
