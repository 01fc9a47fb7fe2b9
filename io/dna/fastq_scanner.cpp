#include "io/dna/fastq_scanner.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "io/dna/record_name.hpp"

namespace strandline {
namespace {

constexpr std::size_t kMaxRecordBytes = std::size_t{1} << 30;

std::string_view without_trailing_blanks(std::string_view line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line;
}

FileLocation at_column(FileLocation start, std::size_t column, const std::string& record) {
  start.byte_offset += static_cast<std::int64_t>(column);
  start.record = record;
  return start;
}

std::string count_of(std::size_t bases) { return std::to_string(bases) + (bases == 1 ? " base" : " bases"); }

}  // namespace

FastqScanner::FastqScanner(std::unique_ptr<ByteSource> source) : cursor_(std::move(source)) {}

ReadCounts FastqScanner::counts() const {
  return {.records = records_, .end_marker_checked = cursor_.source().end_marker_checked()};
}

bool FastqScanner::next(SequencePiece& piece) {
  piece.bases.clear();
  piece.qualities.clear();
  piece.alignment.reset();
  piece.offset = 0;
  piece.last = true;
  if (!read_header(piece)) {
    if (records_ == 0) throw DataError({cursor_.source().name()}, "there is no record in it", "Check how it was made");
    return false;
  }
  const int base_lines = read_bases(piece);
  read_qualities(piece, base_lines);
  piece.record = records_++;
  return true;
}

bool FastqScanner::read_header(SequencePiece& piece) {
  std::string_view line;
  while (true) {
    record_start_ = cursor_.here();
    if (!cursor_.next_line(line, kMaxRecordBytes)) return false;
    if (without_trailing_blanks(line).empty()) continue;
    if (line.front() != '@') {
      throw DataError(record_start_, "expected '@' at the start of a record, found " + describe_byte(line.front()),
                      "The record before it may have too many qualities, or the file is damaged");
    }
    if (line.size() > kMaxHeaderBytes)
      throw DataError(record_start_, "a header line is longer than 1 MiB", "Is this FASTQ?");
    piece.name = parse_record_name(line, record_start_);
    return true;
  }
}

// Returns how many lines the bases took.
int FastqScanner::read_bases(SequencePiece& piece) {
  std::string_view line;
  int lines = 0;
  while (true) {
    const FileLocation start = cursor_.here();
    if (!cursor_.next_line(line, kMaxRecordBytes)) {
      throw DataError(at_column(start, 0, piece.name), "the file ends before the '+' line of this record",
                      "The file is probably truncated");
    }
    if (!line.empty() && line.front() == '+') {
      check_separator(line, start, piece);
      return lines;
    }
    append_bases(without_trailing_blanks(line), start, piece);
    ++lines;
  }
}

void FastqScanner::append_bases(std::string_view line, const FileLocation& start, SequencePiece& piece) const {
  const auto bad = std::find_if_not(line.begin(), line.end(),
                                    [this](char byte) { return letters_[static_cast<unsigned char>(byte)]; });
  if (bad != line.end()) {
    throw DataError(at_column(start, static_cast<std::size_t>(bad - line.begin()), piece.name),
                    describe_byte(*bad) + " in a sequence",
                    *bad == '@' ? "The '+' line of this record is missing" : cure_for_letter(*bad));
  }
  if (piece.bases.size() + line.size() > kMaxRecordBytes) {
    throw DataError(at_column(start, 0, piece.name), "a FASTQ record is longer than 2^30 bases",
                    "Write such a sequence as FASTA, which is read in pieces");
  }
  piece.bases.append(line);
}

// '+' stands alone or repeats the name.
void FastqScanner::check_separator(std::string_view line, const FileLocation& start, const SequencePiece& piece) const {
  line = without_trailing_blanks(line);
  if (line.size() == 1) return;
  const std::string name = parse_record_name(line, start);
  if (name == piece.name) return;
  throw DataError(at_column(start, 1, piece.name), "the '+' line repeats another name, '" + name + "'",
                  "Lines are missing or mixed up: check how the file was made");
}

void FastqScanner::read_qualities(SequencePiece& piece, int base_lines) {
  std::string_view line;
  while (piece.qualities.size() < piece.bases.size()) {
    const FileLocation start = cursor_.here();
    if (!cursor_.next_line(line, kMaxRecordBytes)) {
      throw DataError(at_column(start, 0, piece.name),
                      "the file ends within this record: " + count_of(piece.bases.size()) + ", " +
                          std::to_string(piece.qualities.size()) + " qualities",
                      "The file is probably truncated");
    }
    append_qualities(line, start, piece);
    const bool wrong =
        piece.qualities.size() > piece.bases.size() || (base_lines == 1 && piece.qualities.size() < piece.bases.size());
    if (wrong) {
      throw DataError(at_column(start, 0, piece.name),
                      count_of(piece.bases.size()) + " but " + std::to_string(piece.qualities.size()) + " qualities",
                      "Each base needs one quality: the file is damaged, or was trimmed by a tool that cut only one of "
                      "the two lines");
    }
  }
}

void FastqScanner::append_qualities(std::string_view line, const FileLocation& start, SequencePiece& piece) const {
  line = without_trailing_blanks(line);  // a blank is no quality
  const auto bad = std::find_if_not(line.begin(), line.end(), [](char byte) { return byte >= '!' && byte <= '~'; });
  if (bad != line.end()) {
    throw DataError(at_column(start, static_cast<std::size_t>(bad - line.begin()), piece.name),
                    describe_byte(*bad) + " among the qualities",
                    "Qualities are the characters '!' to '~': the file is damaged, or is no FASTQ");
  }
  piece.qualities.append(line);
}

}  // namespace strandline
