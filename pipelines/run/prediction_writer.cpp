#include "pipelines/run/prediction_writer.hpp"

#include <algorithm>

#include "pipelines/run/predict.hpp"

namespace strandline {
namespace {

constexpr int kDigits = 6;
constexpr const char* kNoNote = ".";

std::vector<std::string> columns(const std::vector<std::string>& class_names) {
  std::vector<std::string> names{"seq_id", "length", "label", "score"};
  for (const std::string& name : class_names) names.push_back(std::string("p_").append(name));
  for (const char* name : {"windows", "n_fraction", "note"}) names.emplace_back(name);
  return names;
}

TsvWriter::Header header_of(const Shard& shard) {
  return shard.index == 1 ? TsvWriter::Header::write : TsvWriter::Header::leave_out;
}

}  // namespace

PredictionWriter::PredictionWriter(const PredictOptions& options, const std::vector<std::string>& class_names,
                                   const SequenceStream& stream)
    : class_names_(class_names),
      copies_(options, class_names, stream),
      table_(options.output, columns(class_names), header_of(options.encode.shard)),
      per_class_(class_names.size()) {}

void PredictionWriter::write(const DnaRecord& record, WeightedMean& mean) {
  RecordLabel copied;
  table_.field(record.name).field(record.counts.length);
  if (record.note.empty()) {
    const std::span<const double> probabilities = mean.mean();
    const auto best = std::max_element(probabilities.begin(), probabilities.end());
    const auto label = static_cast<std::size_t>(best - probabilities.begin());
    ++per_class_[label];
    copied = {static_cast<int>(label), *best};
    table_.field(class_names_[label]).field(*best, kDigits);
    for (const double probability : probabilities) table_.field(probability, kDigits);
    table_.field(mean.rows());
  } else {
    ++without_label_;
    table_.missing().missing();
    for (std::size_t i = 0; i < class_names_.size(); ++i) table_.missing();
    table_.field(std::int64_t{0});
  }
  table_.field(record.counts.n_fraction(), kDigits).field(record.note.empty() ? kNoNote : record.note);
  table_.end_row();
  copies_.write(record, copied);
}

void PredictionWriter::commit() {
  copies_.commit();
  table_.commit();
}

}  // namespace strandline
