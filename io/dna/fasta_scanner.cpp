#include "io/dna/fasta_scanner.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "io/dna/record_name.hpp"

namespace strandline {

FastaScanner::FastaScanner(std::unique_ptr<ByteSource> source, std::int64_t piece_bases)
    : cursor_(std::move(source)), piece_bases_(static_cast<std::size_t>(piece_bases)) {
  if (piece_bases < 1)
    throw ContractError("FastaScanner: piece_bases is " + std::to_string(piece_bases) + ", expected 1 or more");
}

ReadCounts FastaScanner::counts() const {
  return {.records = records_, .end_marker_checked = cursor_.source().end_marker_checked()};
}

bool FastaScanner::next(SequencePiece& piece) {
  if (!in_record_ && !find_record()) return false;
  piece.record = records_ - 1;
  piece.name = name_;
  piece.offset = offset_;
  piece.bases.clear();
  piece.qualities.clear();
  piece.alignment.reset();
  in_record_ = false;  // should the text end in an error
  while (more_bases()) {
    if (piece.bases.size() == piece_bases_) {
      in_record_ = true;
      break;
    }
    append_run(piece.bases);
  }
  piece.last = !in_record_;
  offset_ += static_cast<std::int64_t>(piece.bases.size());
  return true;
}

// Steps to the next '>' and over its line; false at the end of the text.
bool FastaScanner::find_record() {
  std::string_view line;
  while (true) {
    const std::string_view window = cursor_.window();
    if (window.empty()) break;
    if (window.front() == '>') {
      read_header();
      return true;
    }
    const FileLocation start = cursor_.here();
    cursor_.next_line(line, kMaxHeaderBytes);
    if (line.empty() || line.front() == ';' || line.find_first_not_of(" \t") == std::string_view::npos) continue;
    throw DataError(start, "text before the first '>'", "A FASTA record starts with a line '>name'");
  }
  if (records_ == 0) throw DataError({cursor_.source().name()}, "there is no record in it", "Check how it was made");
  return false;
}

void FastaScanner::read_header() {
  const FileLocation start = cursor_.here();
  std::string_view line;
  cursor_.next_line(line, kMaxHeaderBytes);
  name_ = parse_record_name(line, start);
  if (!names_.insert(name_)) {
    throw DataError({start.file, name_, start.line, start.byte_offset}, "a second record has this name",
                    "Give every record a name of its own, for results are told apart by it");
  }
  ++records_;
  offset_ = 0;
  at_line_start_ = true;
}

// Steps over what lies between bases; true when a base of this record is next.
bool FastaScanner::more_bases() {
  while (true) {
    const std::string_view window = cursor_.window();
    if (window.empty()) return false;
    const char byte = window.front();
    if (letters_[static_cast<unsigned char>(byte)]) return true;
    if (byte == '\n') {
      cursor_.consume_line_feed();
      at_line_start_ = true;
    } else if (at_line_start_ && byte == '>') {
      return false;
    } else if (at_line_start_ && byte == ';') {
      std::string_view comment;
      cursor_.next_line(comment, kMaxHeaderBytes);
    } else if (byte == ' ' || byte == '\t' || byte == '\r') {
      at_line_start_ = false;
      cursor_.consume(1);
      if (byte != '\r') continue;
      const std::string_view rest = cursor_.window();
      if (!rest.empty() && rest.front() != '\n') refuse_byte(byte);
    } else {
      refuse_byte(byte);
    }
  }
}

// Takes the run of bases at the position, as far as the window and the piece go.
void FastaScanner::append_run(std::string& bases) {
  std::string_view window = cursor_.window();
  window = window.substr(0, piece_bases_ - bases.size());
  const auto run_end = std::find_if_not(window.begin(), window.end(),
                                        [this](char byte) { return letters_[static_cast<unsigned char>(byte)]; });
  bases.append(window.begin(), run_end);
  cursor_.consume(static_cast<std::size_t>(run_end - window.begin()));
  at_line_start_ = false;
}

void FastaScanner::refuse_byte(char byte) const {
  throw DataError(cursor_.here(name_), describe_byte(byte) + " in a sequence", cure_for_letter(byte));
}

}  // namespace strandline
