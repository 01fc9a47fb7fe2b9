// Records of DNA as they come out of any file: one interface for FASTA, FASTQ, SAM, BAM and CRAM.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace strandline {

/// One alignment record, kept so that it can be copied to an output BAM with tags added. Opaque outside io/dna.
class AlignmentRecord;
/// The header of an alignment file, for an AlignmentWriter. Opaque outside io/dna.
class AlignmentHeader;

/// A record, or a piece of a long one. Pieces of a record come in order, one after the other.
struct SequencePiece {
  std::int64_t record = 0;  ///< number of the record in the file among those that passed the filters, from 0
  std::string name;
  std::int64_t offset = 0;                           ///< of this piece in the record, in bases
  std::string bases;                                 ///< letters as in the file (case kept), in sequencing orientation
  std::string qualities;                             ///< ASCII offset 33; empty when the format has none
  bool last = true;                                  ///< no further piece of this record follows
  std::shared_ptr<const AlignmentRecord> alignment;  ///< only when ReadOptions::keep_alignments
};

/// Counts for the run manifest.
struct ReadCounts {
  std::int64_t records = 0;  ///< given out
  std::int64_t dropped_by_flag = 0;
  std::int64_t dropped_by_mapq = 0;
  std::int64_t dropped_by_region = 0;
  bool end_marker_checked = true;  ///< false for a pipe: truncation at a block boundary cannot be seen
};

struct ReadOptions {
  std::int64_t piece_bases = 1 << 20;   ///< longest piece of a FASTA record
  std::string reference;                ///< FASTA for CRAM
  std::uint16_t require_flags = 0;      ///< -f
  std::uint16_t exclude_flags = 0x900;  ///< -F: secondary and supplementary
  int min_mapq = 0;                     ///< -q
  std::vector<std::string> regions;     ///< -r chr:begin-end, 1-based inclusive as samtools
  std::string bed_file;                 ///< -L
  bool allow_truncated = false;         ///< accept a missing BGZF end marker; decoding then has one thread
  bool keep_alignments = false;
  int decode_threads = 1;  ///< of BGZF, BAM and CRAM; with more than one, damage ends the stream some records early
};

class SequenceStream {
 public:
  virtual ~SequenceStream() = default;
  /// Fills `piece`, reusing its memory; false at the end. After an error the stream is dead. @throws DataError,
  /// IoError.
  virtual bool next(SequencePiece& piece) = 0;
  virtual std::string format() const = 0;  ///< "fasta", "fastq", "sam", "bam", "cram"
  virtual ReadCounts counts() const = 0;
  virtual std::shared_ptr<const AlignmentHeader> alignment_header() const { return nullptr; }  ///< of SAM, BAM and CRAM
};

/// Looks at the content, not at the name. "-" is standard input. Never uses the network.
/// @throws IoError (missing, unreadable), DataError (empty, unknown format, truncated).
std::unique_ptr<SequenceStream> open_sequences(const std::string& path, const ReadOptions& options = {});

}  // namespace strandline
