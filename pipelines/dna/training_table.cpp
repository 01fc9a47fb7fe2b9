#include "pipelines/dna/training_table.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

class Table final : public TrainingData {
 public:
  explicit Table(const TableDataOptions& options);

  const std::vector<ClassData>& classes() const override { return classes_; }
  const ExampleSource& training() const override { return *training_; }
  const ExampleSource& validation() const override { return *validation_; }
  std::unique_ptr<ExampleSource> held_out(std::int64_t length) const override;
  double mean_tokens() const override { return mean_tokens_; }
  std::int64_t longest_training_example() const override { return longest_; }
  std::int64_t examples_per_epoch() const override { return training_->rows(); }
  std::vector<std::string> notes() const override;

 private:
  RowOptions row_options(std::int64_t max_length) const { return {max_length, options_.both_strands, options_.seed}; }
  Split judging_part() const { return table_.has_test ? Split::test : Split::validation; }
  void summarise();

  TableDataOptions options_;
  TableDataset table_;
  std::vector<ClassData> classes_;
  std::unique_ptr<RowSampler> training_;
  std::unique_ptr<RowList> validation_;
  double mean_tokens_ = 0;
  std::int64_t longest_ = 0;
};

Table::Table(const TableDataOptions& options)
    : options_(options), table_(read_table_dataset(options.path, options.columns)) {
  if (table_.rows_of(Split::validation).empty()) {
    if (options_.held_out_fraction <= 0) {
      throw DataError({options_.path}, "no row is held out", "Give a split column, or a --val-fraction above 0");
    }
    hold_out_rows(table_, options_.held_out_fraction, seed_for(options_.seed, RandomUse::holdout));
  }
  std::vector<std::int64_t> rows = table_.rows_of(Split::train);
  mean_tokens_ = mean_row_length(table_, rows, options_.max_length);
  for (const std::int64_t row : rows) {
    const auto length = std::ssize(table_.rows[static_cast<std::size_t>(row)].sequence);
    longest_ = std::max<std::int64_t>(
        longest_, options_.max_length > 0 ? std::min<std::int64_t>(length, options_.max_length) : length);
  }
  training_ = std::make_unique<RowSampler>(table_, std::move(rows), row_options(options_.max_length));
  validation_ = std::make_unique<RowList>(table_, table_.rows_of(Split::validation), row_options(options_.max_length));
  summarise();
}

void Table::summarise() {
  classes_.resize(table_.class_names.size());
  for (std::size_t class_id = 0; class_id < classes_.size(); ++class_id) {
    classes_[class_id].name = table_.class_names[class_id];
    classes_[class_id].held_out = table_.has_test    ? "rows of the split 'test'"
                                  : table_.has_split ? "rows of the split"
                                                     : "rows at random";
  }
  for (const TableRow& row : table_.rows) {
    ClassData& data = classes_[static_cast<std::size_t>(row.label)];
    const auto bases = std::ssize(row.sequence);
    if (row.split == Split::train) {
      ++data.training_sequences;
      data.training_bases += bases;
    } else if (row.split == judging_part()) {
      ++data.held_out_sequences;
      data.held_out_bases += bases;
    }
  }
}

std::unique_ptr<ExampleSource> Table::held_out(std::int64_t length) const {
  return std::make_unique<RowList>(table_, table_.rows_of(judging_part()),
                                   row_options(length > 0 ? length : options_.max_length));
}

std::vector<std::string> Table::notes() const {
  if (table_.has_test) return {"Validation rows chose the weights; test rows judge."};
  return {
      "The same held-out rows chose the weights and judge, so that the scores are slightly too good; give rows the "
      "split 'test' to judge with others."};
}

}  // namespace

std::unique_ptr<TrainingData> load_table(const TableDataOptions& options) { return std::make_unique<Table>(options); }

}  // namespace strandline
