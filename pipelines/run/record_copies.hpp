// Copies of the input's records with their label: as BAM with tags, and as one sequence file per label.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/dna/alignment_writer.hpp"
#include "io/dna/sequence_writer.hpp"
#include "pipelines/dna/dna_record.hpp"

namespace strandline {

struct PredictOptions;

/// The label of a record as the copies need it. `label` is absent (-1) when there is none.
struct RecordLabel {
  int label = -1;
  double score = 0.0;
};

/// BAM: every record that was read, in input order, with tags `sl` (label, or "NA"), `sp` (score) when there is one,
/// and `sn` (the note) when there is none. Sequence files: the records with a label, in input order, each in the file
/// of its label; every label's file is made. One thread at a time.
class RecordCopies {
 public:
  /// `class_names` must outlive the copies. @throws DataError when a BAM is wanted and the input has no alignments;
  /// ContractError when the path of the sequence files has no {label} in it.
  RecordCopies(const PredictOptions& options, const std::vector<std::string>& class_names,
               const SequenceStream& stream);

  void write(const DnaRecord& record, const RecordLabel& label);
  void commit();

 private:
  void write_alignment(const DnaRecord& record, const RecordLabel& label);
  void write_sequence(const DnaRecord& record, SequenceWriter& writer) const;

  const std::vector<std::string>& class_names_;
  std::unique_ptr<AlignmentWriter> alignments_;
  std::vector<std::unique_ptr<SequenceWriter>> sequences_;  // one per class, or none
  SequenceTextFormat format_ = SequenceTextFormat::kFasta;
};

}  // namespace strandline
