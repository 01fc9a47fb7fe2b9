#include "io/dna/sequence_format.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/error.hpp"
#include "io/dna/text_cursor.hpp"

namespace strandline {
namespace {

struct Foreign {
  std::string_view magic;
  const char* what;
  const char* cure;
};

// Frequent mistakes, each with its own cure.
constexpr std::array<Foreign, 10> kForeign{{
    {"\x89HDF", "an HDF5 file", "A model is given with --model, not as reads"},
    {"BZh", "compressed with bzip2", "Decompress it first: bzip2 -dc FILE | strandline ... -"},
    {"\xfd"
     "7zXZ",
     "compressed with xz", "Decompress it first: xz -dc FILE | strandline ... -"},
    {"\x28\xb5\x2f\xfd", "compressed with zstd", "Decompress it first: zstd -dc FILE | strandline ... -"},
    {"PK\x03\x04", "a zip archive", "Unpack it first: unzip FILE"},
    {"BCF\x02", "a BCF file of variants", "Give the reads or the contigs"},
    {"##fileformat=VCF", "a VCF file of variants", "Give the reads or the contigs"},
    {"\xef\xbb\xbf", "text behind a byte-order mark", "Remove the mark: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE"},
    {"@HD ", "a SAM header whose fields are not separated by tabs", "Write it again with tabs"},
    {"LOCUS ", "a GenBank file", "Convert it to FASTA first"},
}};

// "@HD\tVN:" and its sisters.
bool is_sam_header(std::string_view line) {
  return line.size() >= 7 && line[0] == '@' && std::isupper(static_cast<unsigned char>(line[1])) &&
         std::isupper(static_cast<unsigned char>(line[2])) && line[3] == '\t' &&
         (line.substr(1, 2) == "CO" || (std::isalpha(static_cast<unsigned char>(line[4])) && line[6] == ':'));
}

// Name, a number, and at least eleven fields: a SAM record of a file without header.
bool is_sam_record(std::string_view line) {
  if (std::count(line.begin(), line.end(), '\t') < 10) return false;
  const auto flag_begin = line.find('\t') + 1;
  const auto flag = line.substr(flag_begin, line.find('\t', flag_begin) - flag_begin);
  return !flag.empty() && std::all_of(flag.begin(), flag.end(), [](unsigned char c) { return std::isdigit(c); });
}

[[noreturn]] void refuse(std::string_view head, std::string_view line, const std::string& name) {
  for (const Foreign& foreign : kForeign) {
    if (head.starts_with(foreign.magic)) {
      throw DataError({.file = name, .byte_offset = 0}, std::string("this is ") + foreign.what, foreign.cure);
    }
  }
  const bool text =
      std::all_of(line.begin(), line.end(), [](unsigned char c) { return c >= 0x20 || c == '\t' || c == '\r'; });
  if (text && head.find("\n>") != std::string_view::npos) {
    throw DataError({.file = name, .line = 1, .byte_offset = 0}, "text before the first '>'",
                    "A FASTA record starts with a line '>name'");
  }
  throw DataError({.file = name, .byte_offset = 0},
                  std::string("unknown format: it starts with ") +
                      (text ? "'" + std::string(line.substr(0, 20)) + "'" : describe_byte(head.front())),
                  "FASTA, FASTQ, SAM, BAM and CRAM are read, plain or compressed with gzip or bgzip");
}

}  // namespace

SequenceFormat detect_sequence_format(std::string_view head, const std::string& name) {
  if (head.starts_with("BAM\x01")) return SequenceFormat::kBam;
  if (head.starts_with("CRAM")) return SequenceFormat::kCram;
  const auto begin = head.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) throw DataError({name}, "there is no record in it", "Check how it was made");
  const std::string_view text = head.substr(begin);
  const std::string_view line = text.substr(0, text.find('\n'));
  if (is_sam_header(line) || is_sam_record(line)) return SequenceFormat::kSam;
  if (line[0] == '>' || line[0] == ';') return SequenceFormat::kFasta;
  if (line[0] == '@' && !line.starts_with("@HD ")) return SequenceFormat::kFastq;
  refuse(head, line, name);
}

}  // namespace strandline
