// `dna embed`: one vector per record.
#pragma once

#include <cstdint>
#include <string>

#include "pipelines/run/encode_records.hpp"
#include "pipelines/run/model_store.hpp"

namespace strandline {

struct EmbedOptions {
  EncodeOptions encode;  ///< windows of 0: a record is one sequence
  std::string output{};  ///< .npy, else HDF5
};

struct EmbedSummary {
  EncodeProgress done;
  ReadCounts read;
  std::string format;  ///< of the input
  std::int64_t without_embedding = 0;
};

/// One row per record in input order: the pooled hidden state; with windows, the mean of the windows' by their A, C, G
/// and T bases. A record that the filters leave out, or without a known base, has a row of NaN. The file gets its final
/// name at the end; nothing has it when anything fails.
/// @throws what encode_records and the writer throw.
EmbedSummary embed(LoadedClassifier& model, const EmbedOptions& options, const RunControl& control);

}  // namespace strandline
