// SAM, BAM and CRAM through HTSlib. Private to io: the public door is open_sequences().
#pragma once

#include <htslib/sam.h>

#include <memory>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "io/bytes/hts_input.hpp"
#include "io/dna/alignment_record.hpp"
#include "io/dna/bed_filter.hpp"
#include "io/dna/cram_reference.hpp"
#include "io/dna/region_iterator.hpp"
#include "io/dna/sequence_stream.hpp"

namespace strandline {

/// Alignment records as pieces, one whole record each, in the order of the file (with regions: in the order of the
/// index). Bases are upper case, as the formats store them; '=' bases (samtools calmd -e) are refused, for they say
/// nothing without the reference. A record is counted as dropped once, by the first filter that refuses it: flags, then
/// mapping quality, then BED. Records that regions leave out are skipped by the index, never seen and not counted. A
/// record in several regions is given once. Memory: one record (decode_threads > 1: HTSlib's queue of blocks too).
class AlignmentReader final : public SequenceStream {
 public:
  AlignmentReader(HtsInput input, const std::string& path, const ReadOptions& options);

  bool next(SequencePiece& piece) override;
  std::string format() const override { return format_; }
  ReadCounts counts() const override { return counts_; }
  std::shared_ptr<const AlignmentHeader> alignment_header() const override { return header_; }

 private:
  void read_header();
  void set_reference();
  void check_end_marker();
  void check_end();
  void check_bed_contigs() const;
  bool read_record();
  bool passes();
  void fill(SequencePiece& piece);
  [[noreturn]] void throw_unreadable();
  FileLocation here() const;

  std::string name_;
  std::string format_;
  ReadOptions options_;
  std::optional<CramReference> reference_;  // outlives file_, which reads from it
  HtsFilePtr file_;
  std::shared_ptr<const AlignmentHeader> header_;
  std::optional<RegionIterator> regions_;
  std::optional<BedFilter> bed_;
  RecordPtr record_ = make_record();
  ReadCounts counts_;
  std::int64_t records_seen_ = 0;
};

std::unique_ptr<SequenceStream> open_alignments(HtsInput input, const std::string& path, const ReadOptions& options);

}  // namespace strandline
