// `dna predict`: one line of class probabilities per record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/run/encode_records.hpp"
#include "pipelines/run/model_store.hpp"

namespace strandline {

struct PredictOptions {
  std::string model{};                      ///< the model's file, for messages
  EncodeOptions encode;                     ///< encode.windows is set from `window` and `stride`
  std::optional<std::int64_t> window;       ///< absent: the model's training window
  std::int64_t stride = 0;                  ///< 0: as the window
  std::string output = "-";                 ///< the table
  std::string output_bam{};                 ///< empty: not wanted; needs SAM, BAM or CRAM as input
  std::string classified_out{};             ///< a path with {label} in it; empty: not wanted
  std::vector<std::string> command_line{};  ///< for the @PG line
};

struct PredictSummary {
  EncodeProgress done;
  ReadCounts read;
  std::string format;                   ///< of the input
  WindowOptions windows;                ///< as used
  std::vector<std::int64_t> per_class;  ///< records, in the order of the model's classes
  std::int64_t without_label = 0;
};

/// The table has one line per record in input order, whatever its label:
///
///     seq_id  length  label  score  p_<class>...  windows  n_fraction  note
///
/// p is the mean of the windows' softmax, weighted by their A, C, G and T bases; label the class of the largest p (the
/// first of equals), score that p. A record without a label has NA in label, score and every p, 0 windows, and the
/// reason in `note`; else `note` is ".". n_fraction is the share of bases that are not A, C, G or T. The bytes depend
/// on model, input, filters and windows alone. The shards of one input, concatenated in order, are the bytes of the
/// whole: only the first has the header. All outputs get their final names at the end, the table last; none does when
/// anything fails.
/// @throws DataError when the model has no head; ContractError for options that contradict each other or the input;
/// what encode_records and the writers throw.
PredictSummary predict(LoadedClassifier& model, const PredictOptions& options, const RunControl& control);

}  // namespace strandline
