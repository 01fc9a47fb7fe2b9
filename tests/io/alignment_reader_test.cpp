// SAM, BAM and CRAM: the same reads as from text, filters, regions, references.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <string>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "tests/io/alignment_files.hpp"
#include "tests/io/dna_support.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::put_bytes;
using testing::read_file;
using testing::TemporaryFolder;
using testing::WholeRecord;

std::string reverse_complement(std::string bases) {
  dna::reverse_complement(bases.data(), bases.data() + bases.size());
  return bases;
}

std::string reversed(const std::string& text) { return {text.rbegin(), text.rend()}; }

// Reads of two contigs, half of them on the reverse strand, with lengths that are odd and even.
struct Reads {
  std::string reference;  // FASTA
  std::string sam;
  std::vector<WholeRecord> records;  // as sequenced

  explicit Reads(int count) {
    std::mt19937 random(11);
    const auto draw = [&](std::size_t length) {
      std::string bases(length, 'N');
      for (char& base : bases) base = "ACGT"[random() % 4];
      return bases;
    };
    const std::string contigs[2] = {draw(2000), draw(3000)};
    reference = ">c1\n" + contigs[0] + "\n>c2\n" + contigs[1] + "\n";
    sam = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c1\tLN:2000\n@SQ\tSN:c2\tLN:3000\n";
    for (int i = 0; i < count; ++i) {
      const int contig = 2 * i < count ? 0 : 1;
      const std::size_t position = 1 + static_cast<std::size_t>(i % ((count + 1) / 2)) * 4;
      const std::size_t length = 30 + random() % 40;
      const bool reverse = i % 2 != 0;
      std::string bases = contigs[contig].substr(position - 1, length);
      if (i % 5 == 0) bases[i % 30] = 'N';
      std::string qualities(length, 'I');
      for (char& quality : qualities) quality = static_cast<char>('!' + random() % 60);
      const std::string name = "read" + std::to_string(i);
      sam += name + "\t" + (reverse ? "16" : "0") + "\tc" + std::to_string(contig + 1) + "\t" +
             std::to_string(position) + "\t" + std::to_string(i % 61) + "\t" + std::to_string(length) + "M\t*\t0\t0\t" +
             bases + "\t" + qualities + "\tNM:i:0\n";
      records.push_back({name, reverse ? reverse_complement(bases) : bases, reverse ? reversed(qualities) : qualities});
    }
  }
};

// The same reads in every format.
class AlignmentReader : public ::testing::Test {
 protected:
  AlignmentReader() {
    put_bytes(folder_ / "ref.fa", reads_.reference);
    if (fai_build((folder_ / "ref.fa").c_str()) != 0) throw std::runtime_error("cannot index the reference");
    testing::write_alignments(folder_ / "reads.bam", "wb", reads_.sam);
    testing::write_index(folder_ / "reads.bam");
    testing::write_alignments(folder_ / "reads.cram", "wc", reads_.sam, folder_ / "ref.fa");
    testing::write_index(folder_ / "reads.cram");
    put_bytes(folder_ / "reads.sam", reads_.sam);
    std::string fastq;
    for (const auto& record : reads_.records)
      fastq += "@" + record.name + "\n" + record.bases + "\n+\n" + record.qualities + "\n";
    put_bytes(folder_ / "reads.fq", fastq);
    with_reference_.reference = folder_ / "ref.fa";
  }

  std::vector<WholeRecord> subset(const std::function<bool(std::size_t)>& wanted) const {
    std::vector<WholeRecord> kept;
    for (std::size_t i = 0; i < reads_.records.size(); ++i) {
      if (wanted(i)) kept.push_back(reads_.records[i]);
    }
    return kept;
  }

  Reads reads_{200};
  TemporaryFolder folder_;
  ReadOptions with_reference_;
};

TEST_F(AlignmentReader, GivesTheSameReadsFromEveryFormat) {
  EXPECT_EQ(read_file(folder_ / "reads.fq"), reads_.records);
  EXPECT_EQ(read_file(folder_ / "reads.sam"), reads_.records);
  EXPECT_EQ(read_file(folder_ / "reads.bam"), reads_.records);
  EXPECT_EQ(read_file(folder_ / "reads.cram", with_reference_), reads_.records);
  EXPECT_EQ(open_sequences(folder_ / "reads.cram", with_reference_)->format(), "cram");
}

TEST_F(AlignmentReader, GivesTheSameReadsForAnyNumberOfThreads) {
  for (const char* name : {"reads.bam", "reads.cram", "reads.sam", "reads.fq"}) {
    ReadOptions options = with_reference_;
    options.decode_threads = 4;
    EXPECT_EQ(read_file(folder_ / name, options), reads_.records) << name;
  }
}

TEST_F(AlignmentReader, DropsByFlagThenByMappingQualityAndCounts) {
  ReadOptions options;
  options.exclude_flags = 16;
  options.min_mapq = 30;
  const auto stream = open_sequences(folder_ / "reads.bam", options);
  EXPECT_EQ(testing::records_of(*stream).size(),
            subset([](std::size_t i) { return i % 2 == 0 && i % 61 >= 30; }).size());
  const ReadCounts counts = stream->counts();
  EXPECT_EQ(counts.dropped_by_flag, 100);
  EXPECT_EQ(counts.records + counts.dropped_by_mapq, 100);
  options = {};
  options.require_flags = 16;
  EXPECT_EQ(read_file(folder_ / "reads.bam", options), subset([](std::size_t i) { return i % 2 == 1; }));
}

TEST_F(AlignmentReader, DropsSecondaryAndSupplementaryByDefault) {
  std::string sam = "@SQ\tSN:c\tLN:100\n";
  for (const char* flag : {"0", "256", "2048", "4"})
    sam += std::string("r") + flag + "\t" + flag + "\tc\t1\t9\t4M\t*\t0\t0\tACGT\t*\n";
  put_bytes(folder_ / "x.sam", sam);
  EXPECT_THAT(read_file(folder_ / "x.sam"), ElementsAre(WholeRecord{"r0", "ACGT", ""}, WholeRecord{"r4", "ACGT", ""}));
}

TEST_F(AlignmentReader, GivesReadsOfOverlappingRegionsOnce) {
  for (const char* name : {"reads.bam", "reads.cram"}) {
    ReadOptions options = with_reference_;
    options.regions = {"c1:100-150", "c1:120-200", "c2"};
    const auto expected = subset([&](std::size_t i) {
      const std::size_t begin = (i % 100) * 4;  // 0-based
      return i >= 100 || (begin < 200 && begin + reads_.records[i].bases.size() > 99);
    });
    EXPECT_EQ(read_file(folder_ / name, options), expected) << name;
  }
}

TEST_F(AlignmentReader, GivesReadsThatSpanSeveralRegionsOnce) {
  for (const char* name : {"reads.bam", "reads.cram"}) {
    ReadOptions options = with_reference_;
    options.regions = {"c2:50-52", "c1:100-101", "c1:110-111", "c1:120-121", "*"};
    const auto touches = [&](std::size_t i, std::size_t begin, std::size_t end) {  // 0-based, half-open
      const std::size_t at = (i % 100) * 4;
      return at < end && at + reads_.records[i].bases.size() > begin;
    };
    const auto expected = subset([&](std::size_t i) {
      return i >= 100 ? touches(i, 49, 52) : touches(i, 99, 101) || touches(i, 109, 111) || touches(i, 119, 121);
    });
    EXPECT_EQ(read_file(folder_ / name, options), expected) << name;
  }
}

TEST_F(AlignmentReader, FiltersByBedAsByRegionsButWithoutIndex) {
  std::filesystem::remove(folder_ / "reads.bam.bai");
  put_bytes(folder_ / "r.bed",
            "track name=x\n# comment\nc1\t119\t200\textra\nc1 99 150\n\nc2\t0\t3000\nunknown\t0\t1\n");
  ReadOptions options;
  options.bed_file = folder_ / "r.bed";
  const auto from_bed = read_file(folder_ / "reads.bam", options);
  ReadOptions by_region = with_reference_;
  by_region.regions = {"c1:100-150", "c1:120-200", "c2"};
  EXPECT_EQ(from_bed, read_file(folder_ / "reads.cram", by_region));
  EXPECT_FALSE(from_bed.empty());
  const auto stream = open_sequences(folder_ / "reads.bam", options);
  testing::records_of(*stream);
  EXPECT_EQ(stream->counts().dropped_by_region, 200 - static_cast<std::int64_t>(from_bed.size()));
}

TEST_F(AlignmentReader, GivesNothingForAStar) {
  put_bytes(folder_ / "x.sam",
            "@SQ\tSN:c\tLN:100\na\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*\nb\t4\t*\t0\t0\t*\t*\t0\t0\tACG\t*\n");
  testing::write_alignments(folder_ / "x.bam", "wb", testing::bytes_of(folder_ / "x.sam"));
  for (const char* name : {"x.sam", "x.bam"}) {
    EXPECT_THAT(read_file(folder_ / name), ElementsAre(WholeRecord{"a", "", ""}, WholeRecord{"b", "ACG", ""})) << name;
  }
}

TEST_F(AlignmentReader, RestoresAmbiguityCodesOfTheReverseStrand) {
  const std::string codes = "ACMGRSVTWYHKDBN";
  for (const std::string& bases : {codes, codes + "A"}) {
    put_bytes(folder_ / "x.sam", "@SQ\tSN:c\tLN:100\na\t20\tc\t1\t0\t*\t*\t0\t0\t" + bases + "\t*\n");
    EXPECT_EQ(read_file(folder_ / "x.sam").at(0).bases, reverse_complement(bases));
  }
}

TEST_F(AlignmentReader, KeepsAlignmentsOnlyWhenAsked) {
  ReadOptions options;
  EXPECT_EQ(testing::pieces_of(*open_sequences(folder_ / "reads.bam", options)).at(3).alignment, nullptr);
  options.keep_alignments = true;
  const auto stream = open_sequences(folder_ / "reads.bam", options);
  EXPECT_NE(stream->alignment_header(), nullptr);
  const auto pieces = testing::pieces_of(*stream);
  EXPECT_NE(pieces.at(3).alignment, nullptr);
  EXPECT_NE(pieces.at(3).alignment, pieces.at(4).alignment);
  EXPECT_EQ(open_sequences(folder_ / "reads.fq")->alignment_header(), nullptr);
}

TEST_F(AlignmentReader, IndexesAReferenceWithoutWritingBesideIt) {
  std::filesystem::remove(folder_ / "ref.fa.fai");
  const std::size_t before = folder_.entries();
  EXPECT_EQ(read_file(folder_ / "reads.cram", with_reference_), reads_.records);
  EXPECT_EQ(folder_.entries(), before);
}

// HTSlib would take a reference from REF_PATH, a cache, the header's UR or the network. Ours comes from one place.
TEST_F(AlignmentReader, TakesTheReferenceFromNowhereElse) {
  const std::string header = testing::sam_lines(folder_ / "reads.cram").at(0);
  EXPECT_THAT(header, HasSubstr("UR:"));  // the file is where UR says, and yet
  EXPECT_THAT(message_of<DataError>([&] { read_file(folder_ / "reads.cram"); }), HasSubstr("--reference"));
}

TEST_F(AlignmentReader, SeesAtTheEndOfAPipeThatTheEndMarkerIsMissing) {
  const auto read_through_pipe = [&](const std::string& bytes) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_LT(bytes.size(), 65536U);  // what a pipe holds
    ASSERT_EQ(::write(ends[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    ::close(ends[1]);
    const int saved = ::dup(STDIN_FILENO);
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
    try {
      const auto stream = open_sequences("-");
      EXPECT_FALSE(stream->counts().end_marker_checked);
      EXPECT_EQ(testing::records_of(*stream), reads_.records);
      EXPECT_TRUE(stream->counts().end_marker_checked);
    } catch (...) {
      ::dup2(saved, STDIN_FILENO);
      ::close(saved);
      throw;
    }
    ::dup2(saved, STDIN_FILENO);
    ::close(saved);
  };
  const std::string whole = testing::bytes_of(folder_ / "reads.bam");
  read_through_pipe(whole);
  EXPECT_THAT(message_of<DataError>([&] { read_through_pipe(whole.substr(0, whole.size() - 28)); }),
              HasSubstr("standard input: the end marker is missing"));
}

TEST_F(AlignmentReader, AcceptsAMissingEndMarkerWhenTold) {
  const std::string whole = testing::bytes_of(folder_ / "reads.bam");
  put_bytes(folder_ / "cut.bam", whole.substr(0, whole.size() - 28));
  ReadOptions options;
  options.allow_truncated = true;
  EXPECT_EQ(read_file(folder_ / "cut.bam", options), reads_.records);
}

// No cut of a BAM file may pass for a whole one, whatever the number of threads.
TEST_F(AlignmentReader, RefusesABamFileCutAnywhere) {
  const std::string whole = testing::bytes_of(folder_ / "reads.bam");
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    put_bytes(folder_ / "cut.bam", whole.substr(0, 1 + random() % (whole.size() - 1)));
    ReadOptions options;
    options.decode_threads = 1 + i % 3;
    EXPECT_THROW(read_file(folder_ / "cut.bam", options), DataError) << i;
  }
}

TEST_F(AlignmentReader, RefusesACramFileCutAnywhere) {
  const std::string whole = testing::bytes_of(folder_ / "reads.cram");
  std::mt19937 random(8);
  for (int i = 0; i < 100; ++i) {
    put_bytes(folder_ / "cut.cram", whole.substr(0, 1 + random() % (whole.size() - 1)));
    EXPECT_THROW(read_file(folder_ / "cut.cram", with_reference_), DataError) << i;
  }
}

}  // namespace
}  // namespace strandline
