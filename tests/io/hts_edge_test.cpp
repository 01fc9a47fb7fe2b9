// Odd and broken files of other projects: each reads with the count that samtools gives, or is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/error.hpp"
#include "tests/io/dna_support.hpp"

namespace strandline {
namespace {

struct EdgeFile {
  const char* name;
  std::int64_t records;  // -1: DataError
  std::int64_t bases = 0;
  const char* reference = "";

  friend std::ostream& operator<<(std::ostream& out, const EdgeFile& each) { return out << each.name; }
};

// Counts are those of samtools view -F 0x900 and samtools fasta; where samtools warns about a missing end marker and
// goes on, ours is an error.
const EdgeFile kFiles[] = {
    {"1.quickcheck.badeof.bam", -1},
    {"10.quickcheck.notargets.bam", 40, 687},
    {"2.quickcheck.badheader.bam", -1},
    {"4.quickcheck.ok.bam", 40, 687},
    {"5.quickcheck.scramble30.truncated.cram", -1},
    {"7.quickcheck.cram30.ok.cram", -1},  // its reference is not at hand
    {"8.quickcheck.cram21.truncated.cram", -1},
    {"9.quickcheck.cram30.truncated.cram", -1},
    {"b37_10M-10M200k_headerlen_mismatch.cram", -1},
    {"bgzf_boundaries1.bam", 1, 100},
    {"bgzf_boundaries2.bam", 1, 100},
    {"bgzf_boundaries3.bam", 1, 100},
    {"buggyHeader.sam", -1},
    {"ce.fa.gz", 7, 1039800},
    {"ce.fa.gz.fai", -1},
    {"ce.fa.gz.gzi", -1},
    {"ce_large_seq.bam", 2, 1000747},
    {"cigar-64k.sam.gz", 3, 744466},
    {"cram31_level-1.cram", 20000, 2020000},
    {"crlf.fasta", 2, 8},
    {"duplicate_rg.sam", 0, 0},
    {"empty.bam", 0, 0},
    {"empty_no_empty_gzip_block.bam", -1},
    {"hanging_tab.sam", 1, 25},
    {"header_with_white_space.fasta", 2, 8},
    {"htslib_fastqs.fq", 105, 18914},
    {"invalid_coord_sort_order.sam", 18, 1818},
    {"long_references.bam", 3009, 298072},
    {"long_references.bam.csi", -1},
    {"longref.sam", 95, 9500},
    {"missing_fields.sam", -1},
    {"noheader.sam", -1},
    {"not_stored_qualities.bam", 2, 26},
    {"seq_qual_len_mismatch.sam", -1},
    {"test_samfile_version_1pt5.bam", 1, 11},
    {"truncated.bam", -1},
    {"truncated_quals.sam", -1},
    {"truncated_tag.sam", -1},
    {"zero_length_read.sam", -1},
    {"../reads/yeastMito.cram", 21354, 2306232, "../reads/yeastMito.fa"},
};

std::string shared_data() {
  const char* folder = std::getenv("STRANDLINE_SHARED_DATA");
  return (folder != nullptr ? std::string(folder) : std::string(STRANDLINE_SHARED_DATA)) + "/hts_edge/";
}

class HtsEdge : public ::testing::TestWithParam<EdgeFile> {};

TEST_P(HtsEdge, ReadsWithTheExpectedCountOrIsRefused) {
  const EdgeFile& expected = GetParam();
  const std::string path = shared_data() + expected.name;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << expected.name << " is not at hand";
  for (const int threads : {1, 3}) {
    SCOPED_TRACE(threads);
    ReadOptions options;
    options.decode_threads = threads;
    if (expected.reference[0] != '\0') options.reference = shared_data() + expected.reference;
    if (expected.records < 0) {
      EXPECT_THROW(testing::read_file(path, options), DataError);
      continue;
    }
    const auto records = testing::read_file(path, options);
    std::int64_t bases = 0;
    for (const auto& record : records) bases += static_cast<std::int64_t>(record.bases.size());
    EXPECT_EQ(static_cast<std::int64_t>(records.size()), expected.records);
    EXPECT_EQ(bases, expected.bases);
  }
}

std::string gtest_name(const ::testing::TestParamInfo<EdgeFile>& tested) {
  std::string name = tested.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, HtsEdge, ::testing::ValuesIn(kFiles), gtest_name);

}  // namespace
}  // namespace strandline
