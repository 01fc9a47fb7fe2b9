// Any bytes, as FASTA or FASTQ: records that hold together, whatever the size of the pieces, or a DataError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "io/bytes/byte_source.hpp"
#include "io/dna/fasta_scanner.hpp"
#include "io/dna/fastq_scanner.hpp"
#include "io/dna/sequence_format.hpp"

namespace {

using namespace strandline;

struct Outcome {
  std::vector<std::string> records;  // name, bases and qualities of each whole record
  std::string error;                 // of the DataError that ended it
  bool operator==(const Outcome&) const = default;
};

void require(bool condition) {
  if (!condition) std::abort();
}

std::unique_ptr<SequenceStream> make_scanner(std::string_view text, bool fastq, std::int64_t piece_bases) {
  auto source = bytes_in_memory(text, "fuzz");
  if (fastq) return std::make_unique<FastqScanner>(std::move(source));
  return std::make_unique<FastaScanner>(std::move(source), piece_bases);
}

void check_piece(const SequencePiece& piece, const std::string& bases, bool fastq, std::int64_t piece_bases) {
  require(!piece.name.empty() && piece.name.find_first_of(" \t\n") == std::string::npos);
  require(piece.offset == static_cast<std::int64_t>(bases.size()));
  for (const char base : piece.bases) require(dna::is_nucleotide(base) || (fastq && base == '.'));
  if (fastq) {
    require(piece.last && piece.qualities.size() == piece.bases.size());
  } else {
    const auto size = static_cast<std::int64_t>(piece.bases.size());
    require(piece.last ? size <= piece_bases : size == piece_bases);
    require(size > 0 || piece.offset == 0);
  }
}

Outcome scan(std::string_view text, bool fastq, std::int64_t piece_bases) {
  Outcome outcome;
  const auto scanner = make_scanner(text, fastq, piece_bases);
  SequencePiece piece;
  std::string bases;
  try {
    while (scanner->next(piece)) {
      check_piece(piece, bases, fastq, piece_bases);
      bases += piece.bases;
      require(piece.record == static_cast<std::int64_t>(outcome.records.size()));
      if (!piece.last) continue;
      outcome.records.push_back(piece.name + "\n" + bases + "\n" + piece.qualities);
      bases.clear();
    }
    require(bases.empty());
  } catch (const DataError& error) {
    outcome.error = error.what();
    require(error.location().byte_offset <= static_cast<std::int64_t>(text.size()));
  }
  return outcome;
}

}  // namespace

// The first byte chooses the size of the pieces; the format is told by the content, as for a file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (text.starts_with("\x1f\x8b")) return 0;  // decompression is not what is tested here
  bool fastq = false;
  try {
    const SequenceFormat format = detect_sequence_format(text.substr(0, 8192), "fuzz");
    if (format != SequenceFormat::kFasta && format != SequenceFormat::kFastq) return 0;
    fastq = format == SequenceFormat::kFastq;
  } catch (const DataError&) {
    return 0;
  }
  const Outcome whole = scan(text, fastq, std::int64_t{1} << 40);
  const Outcome cut = scan(text, fastq, 1 + data[0] % 64);
  require(whole == cut);
  return 0;
}
