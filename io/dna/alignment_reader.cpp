#include "io/dna/alignment_reader.hpp"

#include <htslib/bgzf.h>
#include <htslib/cram.h>
#include <htslib/hfile.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "core/base/error.hpp"
#include "io/bytes/local_path.hpp"
#include "io/dna/alignment_bases.hpp"

namespace strandline {
namespace {

// What we need of a record; CRAM then leaves the other columns undecoded.
constexpr int kNeededFields = SAM_QNAME | SAM_FLAG | SAM_RNAME | SAM_POS | SAM_MAPQ | SAM_CIGAR | SAM_SEQ | SAM_QUAL;

// Answers of hts_check_EOF.
constexpr int kAbsent = 0;
constexpr int kPresent = 1;
constexpr int kFormatHasNone = 3;

const char* format_name(const htsFile& file) {
  switch (hts_get_format(const_cast<htsFile*>(&file))->format) {
    case bam: return "bam";
    case cram: return "cram";
    default: return "sam";
  }
}

}  // namespace

std::unique_ptr<SequenceStream> open_alignments(HtsInput input, const std::string& path, const ReadOptions& options) {
  return std::make_unique<AlignmentReader>(std::move(input), path, options);
}

AlignmentReader::AlignmentReader(HtsInput input, const std::string& path, const ReadOptions& options)
    : name_(input.name), options_(options) {
  file_.reset(hts_hopen(input.file.get(), path.c_str(), "r"));
  if (!file_)
    throw DataError({name_}, "the header cannot be read: the file is truncated or corrupt",
                    "Check it with samtools quickcheck -v, or fetch it again");
  static_cast<void>(input.file.release());  // hts_close closes it now
  format_ = format_name(*file_);
  check_end_marker();
  read_header();
  if (file_->is_cram) set_reference();
  // HTSlib's threads report damage late, and at times not at all: what may be truncated is decoded on this one.
  // Nor do they know the line of a SAM record.
  if (options_.allow_truncated || format_ == "sam") options_.decode_threads = 1;
  if (options_.decode_threads > 1) hts_set_threads(file_.get(), options_.decode_threads);
  if (!options_.bed_file.empty()) {
    bed_.emplace(options_.bed_file);
    check_bed_contigs();
  }
  if (!options_.regions.empty()) regions_.emplace(*file_, header_->get(), path, options_.regions);
}

void AlignmentReader::check_end_marker() {
  const int found = hts_check_EOF(file_.get());
  if (found < 0) throw IoError(name_, "look for the end marker", errno);
  if (found == kAbsent && !options_.allow_truncated) throw_missing_end_marker(name_);
  // A text has no end marker, and is no worse than FASTA there; neither has CRAM before 2.1.
  counts_.end_marker_checked = found == kPresent || found == kAbsent || (found == kFormatHasNone && format_ == "sam");
}

// What a pipe shows only at its end. Files too: where a decoding thread has failed, the end may look clean but for the
// missing marker.
void AlignmentReader::check_end() {
  bool missing = false;
  if (file_->is_bgzf) {
    missing = file_->fp.bgzf->no_eof_block != 0;
    counts_.end_marker_checked = true;
  } else if (file_->is_cram && options_.decode_threads <= 1 && !counts_.end_marker_checked) {
    constexpr int kEndOfStream = 2;  // with threads, cram_eof does not tell the two ends apart
    missing = cram_eof(file_->fp.cram) == kEndOfStream;
    counts_.end_marker_checked = true;
  }
  if (missing && !regions_ && !options_.allow_truncated) throw_missing_end_marker(name_);
}

void AlignmentReader::read_header() {
  HeaderPtr header(sam_hdr_read(file_.get()));
  // Parsing is lazy: ask for the lines now, so that a broken header is found here.
  if (!header || sam_hdr_count_lines(header.get(), "SQ") < 0) {
    throw DataError({name_}, "the header is truncated or corrupt",
                    "Check it with samtools head, or fetch the file again");
  }
  if (file_->is_cram) forbid_reference_lookup(*file_);  // works on the decoder's own copy of the header
  header_ = std::make_shared<AlignmentHeader>(std::move(header));
}

void AlignmentReader::set_reference() {
  if (!options_.keep_alignments) hts_set_opt(file_.get(), CRAM_OPT_REQUIRED_FIELDS, kNeededFields);
  if (options_.reference.empty()) return;
  reference_.emplace(options_.reference);
  if (hts_set_opt(file_.get(), CRAM_OPT_REFERENCE, reference_->indexed_path().c_str()) != 0) {
    throw DataError({options_.reference}, "the reference cannot be used", "Make its index again with samtools faidx");
  }
}

// A BED file of another naming ("chr1" for "1") would drop every read in silence.
void AlignmentReader::check_bed_contigs() const {
  const std::vector<std::string> contigs = bed_->contigs();
  const bool any = std::any_of(contigs.begin(), contigs.end(), [this](const std::string& contig) {
    return sam_hdr_name2tid(const_cast<sam_hdr_t*>(&header_->get()), contig.c_str()) >= 0;
  });
  if (!any) {
    throw DataError({options_.bed_file}, "none of its contigs ('" + contigs.front() + "', ...) is in " + name_,
                    contig_list(header_->get()));
  }
}

bool AlignmentReader::next(SequencePiece& piece) {
  while (read_record()) {
    if (!passes()) continue;
    fill(piece);
    return true;
  }
  check_end();
  return false;
}

bool AlignmentReader::read_record() {
  errno = 0;
  sam_hdr_t* header = const_cast<sam_hdr_t*>(&header_->get());
  const int status = regions_ ? regions_->next(*record_) : sam_read1(file_.get(), header, record_.get());
  if (status < -1) throw_unreadable();
  if (status == -1) return false;
  ++records_seen_;
  if (reference_) reference_->check_contig(*header, record_->core.tid, name_);
  return true;
}

bool AlignmentReader::passes() {
  const bam1_core_t& core = record_->core;
  if ((core.flag & options_.require_flags) != options_.require_flags || (core.flag & options_.exclude_flags) != 0) {
    ++counts_.dropped_by_flag;
    return false;
  }
  if (core.qual < options_.min_mapq) {
    ++counts_.dropped_by_mapq;
    return false;
  }
  if (!bed_) return true;
  const bool inside =
      core.tid >= 0 && bed_->overlaps(sam_hdr_tid2name(&header_->get(), core.tid), core.pos, bam_endpos(record_.get()));
  if (!inside) ++counts_.dropped_by_region;
  return inside;
}

void AlignmentReader::fill(SequencePiece& piece) {
  piece.record = counts_.records++;
  piece.name.assign(bam_get_qname(record_.get()),
                    static_cast<std::size_t>(record_->core.l_qname - record_->core.l_extranul - 1));
  piece.offset = 0;
  piece.last = true;
  decode_bases(*record_, piece.bases);
  decode_qualities(*record_, piece.qualities);
  if (piece.bases.find('=') != std::string::npos) {
    throw DataError({name_, piece.name}, "bases are written as '=' (equal to the reference)",
                    "Write the file again without samtools calmd -e");
  }
  piece.alignment.reset();
  if (!options_.keep_alignments) return;
  piece.alignment = std::make_shared<AlignmentRecord>(std::move(record_));
  record_ = make_record();
}

void AlignmentReader::throw_unreadable() {
  const int error = errno;
  const std::string which = "record number " + std::to_string(records_seen_ + 1);
  if (file_->is_cram && !reference_) {
    throw DataError(
        here(), which + " cannot be decoded without the reference it was compressed against, or the file is corrupt",
        "Give the genome as FASTA with --reference");
  }
  if (reference_) reference_->check_all(header_->get(), name_);
  if (error == EIO) throw IoError(name_, "read", error);
  std::string cure = "Check it with samtools quickcheck -v, or fetch it again";
  if (format_ == "sam") {
    cure = sam_hdr_nref(&header_->get()) == 0 ? "The file has no @SQ lines: write it with its header (samtools view -h)"
                                              : "Check this line";
  }
  throw DataError(here(), which + " cannot be read: the file is truncated or corrupt", cure);
}

// SAM: the line. BAM and CRAM: about where in the compressed file.
FileLocation AlignmentReader::here() const {
  FileLocation place{.file = name_};
  if (file_->is_cram) {
    place.byte_offset = htell(cram_fd_get_fp(file_->fp.cram));
  } else if (format_ == "bam" && file_->is_bgzf) {
    place.byte_offset = bgzf_tell(file_->fp.bgzf) >> 16;
  } else {
    place.line = file_->lineno;
  }
  return place;
}

}  // namespace strandline
