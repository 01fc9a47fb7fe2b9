#include "core/base/error.hpp"
#include "io/bytes/hts_input.hpp"
#include "io/dna/alignment_reader.hpp"
#include "io/dna/fasta_scanner.hpp"
#include "io/dna/fastq_scanner.hpp"
#include "io/dna/sequence_format.hpp"
#include "io/dna/sequence_stream.hpp"

namespace strandline {
namespace {

// A filter that cannot be applied must not be dropped in silence.
void refuse_alignment_filters(const std::string& name, const ReadOptions& options) {
  const bool regions = !options.regions.empty() || !options.bed_file.empty();
  if (!regions && options.require_flags == 0 && options.min_mapq == 0) return;
  throw DataError({name},
                  std::string(regions ? "regions" : "flags and mapping qualities") + " exist only in SAM, BAM and CRAM",
                  "Leave out the filter, or give the alignments");
}

}  // namespace

std::unique_ptr<SequenceStream> open_sequences(const std::string& path, const ReadOptions& options) {
  HtsInput input = open_hts_input(path);
  if (input.head_text.empty() && input.compressed) {
    throw DataError({input.name}, "nothing could be decompressed: the file is empty inside, truncated or corrupt",
                    "Check it with gzip -t, or fetch it again");
  }
  const SequenceFormat format = detect_sequence_format(input.head_text, input.name);
  if (format != SequenceFormat::kFasta && format != SequenceFormat::kFastq) {
    return open_alignments(std::move(input), path, options);
  }
  refuse_alignment_filters(input.name, options);
  auto source = make_byte_source(
      std::move(input), {.decode_threads = options.decode_threads, .allow_truncated = options.allow_truncated});
  if (format == SequenceFormat::kFastq) return std::make_unique<FastqScanner>(std::move(source));
  return std::make_unique<FastaScanner>(std::move(source), options.piece_bases);
}

}  // namespace strandline
