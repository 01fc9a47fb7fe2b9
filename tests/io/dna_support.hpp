// Helpers of the tests of the DNA readers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/dna/fasta_scanner.hpp"
#include "io/dna/fastq_scanner.hpp"
#include "io/dna/sequence_stream.hpp"

namespace strandline::testing {

struct WholeRecord {
  std::string name;
  std::string bases;
  std::string qualities;
  bool operator==(const WholeRecord&) const = default;
};

inline void PrintTo(const WholeRecord& record, std::ostream* out) {
  *out << record.name << " " << record.bases.substr(0, 100) << " " << record.qualities.substr(0, 100);
}

inline std::vector<SequencePiece> pieces_of(SequenceStream& stream) {
  std::vector<SequencePiece> pieces;
  SequencePiece piece;
  while (stream.next(piece)) pieces.push_back(piece);
  return pieces;
}

/// Puts the pieces together again; an empty name marks a piece that does not follow the one before it.
inline std::vector<WholeRecord> records_of(SequenceStream& stream) {
  std::vector<WholeRecord> records;
  bool open = false;
  for (const SequencePiece& piece : pieces_of(stream)) {
    if (!open) records.push_back({piece.name, {}, {}});
    WholeRecord& record = records.back();
    const bool follows = piece.record + 1 == static_cast<std::int64_t>(records.size()) && piece.name == record.name &&
                         piece.offset == static_cast<std::int64_t>(record.bases.size());
    if (!follows) record.name.clear();
    record.bases += piece.bases;
    record.qualities += piece.qualities;
    open = !piece.last;
  }
  if (open) records.push_back({"the last record is not closed", {}, {}});
  return records;
}

inline std::vector<WholeRecord> read_file(const std::string& path, const ReadOptions& options = {}) {
  return records_of(*open_sequences(path, options));
}

inline std::vector<WholeRecord> read_fasta(std::string_view text, std::int64_t piece_bases = 1 << 20) {
  FastaScanner scanner(bytes_in_memory(text, "memory"), piece_bases);
  return records_of(scanner);
}

inline std::vector<WholeRecord> read_fastq(std::string_view text) {
  FastqScanner scanner(bytes_in_memory(text, "memory"));
  return records_of(scanner);
}

}  // namespace strandline::testing
