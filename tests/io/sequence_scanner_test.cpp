// FASTA and FASTQ from memory: what the scanners take, and how they cut it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "core/base/error.hpp"
#include "io/dna/name_set.hpp"
#include "tests/io/dna_support.hpp"
#include "tests/io/expect_error.hpp"

namespace strandline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_fasta;
using testing::read_fastq;
using testing::WholeRecord;

// A source that gives one byte at a time, so that every boundary falls between two reads.
class Dripping final : public ByteSource {
 public:
  explicit Dripping(std::string_view bytes) : bytes_(bytes) {}
  std::size_t read(char* destination, std::size_t size) override {
    const std::size_t count = bytes_.copy(destination, std::min<std::size_t>(size, 1));
    bytes_.remove_prefix(count);
    return count;
  }
  const std::string& name() const override { return name_; }

 private:
  std::string name_ = "drip";
  std::string_view bytes_;
};

std::string random_bases(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::string bases(count, 'N');
  for (char& base : bases) base = "ACGTacgtN"[random() % 9];
  return bases;
}

std::string wrapped(const std::string& bases, std::size_t width) {
  std::string text;
  for (std::size_t begin = 0; begin < bases.size(); begin += width) text += bases.substr(begin, width) + "\n";
  return text;
}

TEST(FastaScanner, KeepsTheCaseAndTheAmbiguityCodes) {
  EXPECT_THAT(read_fasta(">a\nACGTUNRYSWKMBDHV\nacgtunryswkmbdhv\n"),
              ElementsAre(WholeRecord{"a", "ACGTUNRYSWKMBDHVacgtunryswkmbdhv", ""}));
}

TEST(FastaScanner, CutsTheNameAtTheFirstWhiteSpace) {
  EXPECT_THAT(read_fasta(">chr1 the first\nA\n>chr2\tthe second\nC\n>gi|1|x\x01gi|2\nG\n"),
              ElementsAre(WholeRecord{"chr1", "A", ""}, WholeRecord{"chr2", "C", ""}, WholeRecord{"gi|1|x", "G", ""}));
}

TEST(FastaScanner, SkipsBlankLinesCarriageReturnsBlanksAndComments) {
  EXPECT_THAT(read_fasta("\n;made by hand\n\r\n>a\r\nAC GT\r\n\r\n; half way\r\n\tAC \r\n\n>b\r\n"),
              ElementsAre(WholeRecord{"a", "ACGTAC", ""}, WholeRecord{"b", "", ""}));
}

TEST(FastaScanner, NeedsNoLastLineFeed) {
  EXPECT_THAT(read_fasta(">a\nAC\n>b"), ElementsAre(WholeRecord{"a", "AC", ""}, WholeRecord{"b", "", ""}));
  EXPECT_THAT(read_fasta(">a\nACG"), ElementsAre(WholeRecord{"a", "ACG", ""}));
  EXPECT_THAT(read_fasta(">a\nACG\r"), ElementsAre(WholeRecord{"a", "ACG", ""}));
}

TEST(FastaScanner, GivesAnEmptyRecordAsOneEmptyPiece) {
  FastaScanner scanner(bytes_in_memory(">a\n>b\nA\n>c\n\n", "memory"), 4);
  const auto pieces = testing::pieces_of(scanner);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[0].bases, "");
  EXPECT_TRUE(pieces[0].last);
  EXPECT_EQ(pieces[2].record, 2);
  EXPECT_EQ(scanner.counts().records, 3);
}

TEST(FastaScanner, GivesTheSameRecordForPiecesOfAnySize) {
  const std::string bases = random_bases(1000, 3);
  const std::string text = ">a\n" + wrapped(bases, 60) + ">b\n>c\n" + wrapped(bases.substr(0, 60), 7);
  const std::vector<WholeRecord> expected{{"a", bases, ""}, {"b", "", ""}, {"c", bases.substr(0, 60), ""}};
  for (const std::int64_t piece_bases : {1, 2, 7, 59, 60, 61, 999, 1000, 1001, 100000}) {
    EXPECT_EQ(read_fasta(text, piece_bases), expected) << piece_bases;
  }
}

TEST(FastaScanner, FillsEveryPieceButTheLastAndGivesNoEmptyTail) {
  FastaScanner scanner(bytes_in_memory(">a\nACGT\nACGT\n\n>b\nAC\n", "memory"), 4);
  const auto pieces = testing::pieces_of(scanner);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_FALSE(pieces[0].last);
  EXPECT_TRUE(pieces[1].last);
  EXPECT_EQ(pieces[1].offset, 4);
}

TEST(FastaScanner, DoesNotCareWhereReadsEnd) {
  const std::string text = ";x\r\n>a b\r\nACGT\r\nAC\r\n\r\n>b\nA\n>c";
  FastaScanner scanner(std::make_unique<Dripping>(text), 3);
  EXPECT_EQ(testing::records_of(scanner), read_fasta(text));
}

TEST(FastaScanner, TakesALineLongerThanItsBuffer) {
  const std::string bases = random_bases(3'000'000, 4);
  EXPECT_THAT(read_fasta(">a\n" + bases + "\n>b\n" + bases, 1 << 16),
              ElementsAre(WholeRecord{"a", bases, ""}, WholeRecord{"b", bases, ""}));
}

TEST(FastaScanner, RefusesAPieceOfNoBases) { EXPECT_THROW(read_fasta(">a\nA\n", 0), ContractError); }

TEST(FastaScanner, SaysTheLineAndTheByteBehindLongText) {
  const std::string text = ">a\n" + wrapped(random_bases(700'000, 5), 70) + "AC!T\n";
  EXPECT_THAT(message_of<DataError>([&] { read_fasta(text, 1000); }),
              HasSubstr("record 'a', line 10002, byte " + std::to_string(text.size() - 3)));
}

TEST(FastqScanner, ReadsFourLinesAndKeepsTheQualities) {
  EXPECT_THAT(read_fastq("@a x\nACGT\n+\nIJKL\n@b\nnN.\n+b\n!~5\n"),
              ElementsAre(WholeRecord{"a", "ACGT", "IJKL"}, WholeRecord{"b", "nN.", "!~5"}));
}

TEST(FastqScanner, TakesWrappedRecordsWithMarksInTheQualities) {
  EXPECT_THAT(read_fastq("@a\nACGT\nAC\n+\n@+I@\n+@\n@b\nA\n+\n@\n"),
              ElementsAre(WholeRecord{"a", "ACGTAC", "@+I@+@"}, WholeRecord{"b", "A", "@"}));
}

TEST(FastqScanner, TakesEmptyRecordsCarriageReturnsAndNoLastLineFeed) {
  EXPECT_THAT(read_fastq("@a\r\n\r\n+\r\n\r\n@b\r\nAC\r\n+\r\nII\r\n\r\n@c\n+\n@d\nA\n+\nI"),
              ElementsAre(WholeRecord{"a", "", ""}, WholeRecord{"b", "AC", "II"}, WholeRecord{"c", "", ""},
                          WholeRecord{"d", "A", "I"}));
}

TEST(FastqScanner, LetsMatesShareAName) { EXPECT_EQ(read_fastq("@a\nA\n+\nI\n@a\nC\n+\nI\n").size(), 2U); }

TEST(FastqScanner, DoesNotCareWhereReadsEnd) {
  const std::string text = "@a b\r\nACGT\r\n+\r\nIIII\r\n\r\n@b\nAC\nG\n+b\n@\nII";
  FastqScanner scanner(std::make_unique<Dripping>(text));
  EXPECT_EQ(testing::records_of(scanner), read_fastq(text));
}

TEST(FastqScanner, TakesARecordLongerThanItsBuffer) {
  const std::string bases = random_bases(1'000'000, 6);
  const std::string qualities(bases.size(), 'I');
  EXPECT_THAT(read_fastq("@a\n" + bases + "\n+\n" + qualities + "\n@b\nA\n+\nI\n"),
              ElementsAre(WholeRecord{"a", bases, qualities}, WholeRecord{"b", "A", "I"}));
}

TEST(FastqScanner, CountsRecordsAndCallsThePieceWhole) {
  FastqScanner scanner(bytes_in_memory("@a\nAC\n+\nII\n@b\nG\n+\nI\n", "memory"));
  const auto pieces = testing::pieces_of(scanner);
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_TRUE(pieces[1].last);
  EXPECT_EQ(pieces[1].offset, 0);
  EXPECT_EQ(pieces[1].record, 1);
  EXPECT_EQ(scanner.counts().records, 2);
}

TEST(NameSet, FindsEveryNameAgain) {
  NameSet names;
  for (int i = 0; i < 100'000; ++i) EXPECT_TRUE(names.insert("contig" + std::to_string(i)));
  for (int i = 0; i < 100'000; ++i) EXPECT_FALSE(names.insert("contig" + std::to_string(i)));
  EXPECT_TRUE(names.insert("contig"));
  EXPECT_TRUE(names.insert("contig01"));
}

TEST(NameSet, StopsRememberingAtItsLimitAndStillFindsTheOldNames) {
  NameSet names;
  const std::string tail(1 << 16, 'x');
  for (int i = 0; i < 1100; ++i) names.insert(std::to_string(i) + tail);
  EXPECT_LT(names.size(), 1100U);
  EXPECT_FALSE(names.insert("5" + tail));
  EXPECT_TRUE(names.insert("1099" + tail));
}

}  // namespace
}  // namespace strandline
