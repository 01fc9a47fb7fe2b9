// BAM with local tags, FASTA and FASTQ out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/base/error.hpp"
#include "io/dna/alignment_writer.hpp"
#include "io/dna/sequence_writer.hpp"
#include "tests/io/alignment_files.hpp"
#include "tests/io/dna_support.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;
using testing::TemporaryFolder;
using testing::WholeRecord;

const std::string kSam =
    "@HD\tVN:1.6\n@SQ\tSN:c\tLN:100\n@PG\tID:aligner\tPN:aligner\n"
    "a\t16\tc\t1\t9\t4M\t*\t0\t0\tACGT\tIIII\tNM:i:3\tyc:i:7\tRG:Z:g\n"
    "b\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\n";

SequencePiece piece(const std::string& name, std::int64_t offset, const std::string& bases, bool last) {
  SequencePiece out;
  out.name = name;
  out.offset = offset;
  out.bases = bases;
  out.last = last;
  return out;
}

class AlignmentWriterTest : public ::testing::Test {
 protected:
  AlignmentWriterTest() {
    testing::put_bytes(folder_ / "in.sam", kSam);
    ReadOptions options;
    options.keep_alignments = true;
    stream_ = open_sequences(folder_ / "in.sam", options);
    pieces_ = testing::pieces_of(*stream_);
  }

  TemporaryFolder folder_;
  std::unique_ptr<SequenceStream> stream_;
  std::vector<SequencePiece> pieces_;
  ProgramLine program_{.name = "strandline", .version = "1.2.3", .command = "strandline dna predict\t-m x"};
};

TEST_F(AlignmentWriterTest, CopiesRecordsAndAddsOrReplacesTags) {
  AlignmentWriter writer(folder_ / "out.bam", *stream_->alignment_header(), program_);
  const std::vector<LocalTag> tags{{"yc", "ecoli"}, {"ys", 0.5F}};
  for (const auto& each : pieces_) writer.write(*each.alignment, tags);
  writer.commit();
  const auto lines = testing::sam_lines(folder_ / "out.bam");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[0],
              HasSubstr("@PG\tID:strandline\tPN:strandline\tPP:aligner\tVN:1.2.3\tCL:strandline dna predict -m x\n"));
  EXPECT_EQ(lines[1], "a\t16\tc\t1\t9\t4M\t*\t0\t0\tACGT\tIIII\tNM:i:3\tRG:Z:g\tyc:Z:ecoli\tys:f:0.5");
  EXPECT_EQ(lines[2], "b\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\tyc:Z:ecoli\tys:f:0.5");
  EXPECT_EQ(read_file(folder_ / "out.bam").size(), 2U);  // with its end marker
}

TEST_F(AlignmentWriterTest, LeavesNothingWithoutCommit) {
  const std::size_t before = folder_.entries();
  {
    AlignmentWriter writer(folder_ / "out.bam", *stream_->alignment_header(), program_);
    writer.write(*pieces_.at(0).alignment, {});
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out.bam"));
  }
  EXPECT_EQ(folder_.entries(), before);
}

TEST_F(AlignmentWriterTest, RefusesTagsThatAreNotForLocalUse) {
  AlignmentWriter writer(folder_ / "out.bam", *stream_->alignment_header(), program_);
  for (const char* name : {"NM", "y", "yC", "Yc", "abc", ""}) {
    const std::vector<LocalTag> tags{{name, 1.0F}};
    EXPECT_THROW(writer.write(*pieces_.at(0).alignment, tags), ContractError) << name;
  }
  const std::vector<LocalTag> tags{{"yc", "two\tfields"}};
  EXPECT_THROW(writer.write(*pieces_.at(0).alignment, tags), ContractError);
}

TEST_F(AlignmentWriterTest, SaysWhichFolderIsMissing) {
  EXPECT_THAT(
      message_of<IoError>([&] { AlignmentWriter(folder_ / "no/out.bam", *stream_->alignment_header(), program_); }),
      HasSubstr("no/out.bam"));
  EXPECT_THROW(AlignmentWriter("s3://bucket/out.bam", *stream_->alignment_header(), program_), IoError);
}

TEST(SequenceWriter, WritesTheSameFastaForAnyPieces) {
  const TemporaryFolder folder;
  const std::string bases(200, 'A');
  for (const std::size_t cut : {1U, 79U, 80U, 81U, 160U, 200U}) {
    SequenceWriter writer(folder / "x.fa", SequenceTextFormat::kFasta);
    for (std::size_t begin = 0; begin < bases.size(); begin += cut) {
      writer.write(piece("a", static_cast<std::int64_t>(begin), bases.substr(begin, cut), begin + cut >= bases.size()));
    }
    writer.write(piece("b", 0, "", true));
    writer.commit();
    EXPECT_EQ(testing::bytes_of(folder / "x.fa"),
              ">a\n" + bases.substr(0, 80) + "\n" + bases.substr(0, 80) + "\n" + bases.substr(0, 40) + "\n>b\n")
        << cut;
  }
}

TEST(SequenceWriter, WritesFastqAndBgzfThatReadBack) {
  const TemporaryFolder folder;
  SequencePiece read = piece("r", 0, "ACGT", true);
  read.qualities = "IJKL";
  SequenceWriter writer(folder / "x.fq.gz", SequenceTextFormat::kFastq);
  writer.write(read);
  writer.write(piece("s", 0, "AC", true));
  EXPECT_FALSE(std::filesystem::exists(folder / "x.fq.gz"));
  writer.commit();
  EXPECT_THAT(read_file(folder / "x.fq.gz"),
              ElementsAre(WholeRecord{"r", "ACGT", "IJKL"}, WholeRecord{"s", "AC", "!!"}));
}

TEST(SequenceWriter, RefusesPiecesOutOfOrder) {
  const TemporaryFolder folder;
  SequenceWriter fasta(folder / "x.fa", SequenceTextFormat::kFasta);
  fasta.write(piece("a", 0, "ACGT", false));
  EXPECT_THROW(fasta.write(piece("b", 0, "A", true)), ContractError);
  SequenceWriter fastq(folder / "x.fq", SequenceTextFormat::kFastq);
  EXPECT_THROW(fastq.write(piece("a", 0, "ACGT", false)), ContractError);
}

}  // namespace
}  // namespace strandline
