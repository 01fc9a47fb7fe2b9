// Where predictions go: the table, and copies of the records when asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/tables/tsv_writer.hpp"
#include "pipelines/batch/weighted_mean.hpp"
#include "pipelines/dna/dna_record.hpp"
#include "pipelines/run/record_copies.hpp"

namespace strandline {

struct PredictOptions;

/// One thread at a time.
class PredictionWriter {
 public:
  /// `class_names` must outlive the writer.
  PredictionWriter(const PredictOptions& options, const std::vector<std::string>& class_names,
                   const SequenceStream& stream);

  void write(const DnaRecord& record, WeightedMean& mean);
  /// Gives every output its final name, the table last.
  void commit();

  const std::vector<std::int64_t>& per_class() const { return per_class_; }
  std::int64_t without_label() const { return without_label_; }

 private:
  const std::vector<std::string>& class_names_;
  RecordCopies copies_;
  TsvWriter table_;
  std::vector<std::int64_t> per_class_;
  std::int64_t without_label_ = 0;
};

}  // namespace strandline
