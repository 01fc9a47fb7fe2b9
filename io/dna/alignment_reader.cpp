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

const char* format_name(const htsFile& file) {
  switch (hts_get_format(const_cast<htsFile*>(&file))->format) {
    case bam: return "bam";
    case cram: return "cram";
    default: return "sam";
  }
}

// The contigs at hand, for an error: the first few names.
std::string contig_list(const sam_hdr_t& header) {
  constexpr int kShown = 8;
  const int count = sam_hdr_nref(&header);
  if (count == 0) return "The file has no contigs";
  std::string list = "Its contigs are ";
  for (int tid = 0; tid < std::min(count, kShown); ++tid) list += (tid > 0 ? ", '" : "'") + std::string(sam_hdr_tid2name(&header, tid)) + "'";
  if (count > kShown) list += ", ... (" + std::to_string(count) + " in all)";
  return list;
}

}  // namespace

std::unique_ptr<SequenceStream> open_alignments(HtsInput input, const std::string& path, const ReadOptions& options) {
  return std::make_unique<AlignmentReader>(std::move(input), path, options);
}

AlignmentReader::AlignmentReader(HtsInput input, const std::string& path, const ReadOptions& options)
    : name_(input.name), options_(options) {
  file_.reset(hts_hopen(input.file.get(), path.c_str(), "r"));
  if (!file_) throw DataError({name_}, "the header cannot be read: the file is truncated or corrupt", "Check it with samtools quickcheck -v, or fetch it again");
  static_cast<void>(input.file.release());  // hts_close closes it now
  format_ = format_name(*file_);
  check_end_marker();
  read_header();
  if (file_->is_cram) set_reference();
  if (options_.decode_threads > 1) hts_set_threads(file_.get(), options_.decode_threads);
  if (!options_.bed_file.empty()) {
    bed_.emplace(options_.bed_file);
    check_bed_contigs();
  }
  if (!options_.regions.empty()) open_regions(path);
}

void AlignmentReader::check_end_marker() {
  const int found = hts_check_EOF(file_.get());
  if (found < 0) throw IoError(name_, "look for the end marker", errno);
  if (found == 0 && !options_.allow_truncated) throw_missing_end_marker(name_);
  // 2: a pipe; 3: a format without end marker. A text has none either, but is no worse than FASTA there.
  counts_.end_marker_checked = found == 1 || (found == 3 && format_ == "sam") || (found == 0 && options_.allow_truncated);
}

void AlignmentReader::read_header() {
  HeaderPtr header(sam_hdr_read(file_.get()));
  // The copy stays whole while the decoder's own loses its reference links.
  HeaderPtr copy(header ? sam_hdr_dup(header.get()) : nullptr);
  // Parsing is lazy: ask for the lines now, so that a broken header is found here.
  if (!copy || sam_hdr_count_lines(copy.get(), "SQ") < 0) {
    throw DataError({name_}, "the header is truncated or corrupt", "Check it with samtools head, or fetch the file again");
  }
  if (file_->is_cram) {
    forbid_reference_lookup(*file_);
  } else {
    file_->bam_header = header.get();
  }
  header_ = std::make_shared<AlignmentHeader>(std::move(copy));
}

void AlignmentReader::set_reference() {
  if (!options_.keep_alignments) hts_set_opt(file_.get(), CRAM_OPT_REQUIRED_FIELDS, kNeededFields);
  if (options_.reference.empty()) return;
  reference_.emplace(options_.reference);
  if (hts_set_opt(file_.get(), CRAM_OPT_REFERENCE, reference_->indexed_path().c_str()) != 0) {
    throw DataError({options_.reference}, "the reference cannot be used", "Make its index again with samtools faidx");
  }
}

}  // namespace strandline
