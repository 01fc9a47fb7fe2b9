// What is known of a record besides its tokens, on its way to the results.
#pragma once

#include <memory>
#include <string>

#include "io/dna/sequence_stream.hpp"
#include "pipelines/batch/packer.hpp"
#include "pipelines/batch/unpacker.hpp"
#include "pipelines/dna/read_filter.hpp"
#include "pipelines/dna/spooled_text.hpp"

namespace strandline {

struct DnaRecord {
  std::string name;
  BaseCounts counts;
  std::string note;   ///< why there is no result; empty: there is one
  SpooledText bases;  ///< only when RecordBatcherOptions::keep_text
  SpooledText qualities;
  std::shared_ptr<const AlignmentRecord> alignment;
};

using DnaBatch = RecordBatch<DnaRecord>;
using EncodedDnaBatch = EncodedBatch<DnaRecord>;
using DnaUnpacker = Unpacker<DnaRecord>;

}  // namespace strandline
