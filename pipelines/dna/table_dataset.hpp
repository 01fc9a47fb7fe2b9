// Rows of a table as examples: `sequence`, `label` and, if it is there, `split`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/run/example_source.hpp"

namespace strandline {

enum class Split : std::uint8_t { train, validation, test };

struct TableRow {
  std::string sequence;  ///< letters, as in the file
  std::int32_t label = 0;
  Split split = Split::train;
};

struct TableColumns {
  std::string sequence = "sequence";
  std::string label = "label";
  std::string split = "split";  ///< optional in the file: train, valid(ation), val, dev, test
};

/// A table in memory. Class ids follow the sorted labels (numbers by value when all are numbers), so that they do not
/// depend on the order of rows.
struct TableDataset {
  std::vector<std::string> class_names;
  std::vector<TableRow> rows;
  bool has_split = false;
  bool has_test = false;

  std::vector<std::int64_t> rows_of(Split split) const;
};

/// TSV or CSV, header found by name. @throws DataError with file, line and column: a missing column, an unknown split,
/// an empty sequence or label, a letter that is no nucleotide, fewer than two classes.
TableDataset read_table_dataset(const std::string& path, const TableColumns& columns = {});

/// Moves `fraction` of the training rows of each class, at least one, to `Split::validation`, by a random order that
/// depends on the seed alone. @throws DataError for a class of a single row.
void hold_out_rows(TableDataset& table, double fraction, std::uint64_t seed);

struct RowOptions {
  std::int64_t max_length = 0;  ///< longer rows give a stretch of this length, at a random place in training, from the
                                ///< middle in judging; 0: whole rows
  bool both_strands = true;
  std::uint64_t seed = 0;
};

/// Endless: example i is row number (i mod rows) of a permutation that is new for every epoch.
class RowSampler final : public ExampleSource {
 public:
  RowSampler(const TableDataset& table, std::vector<std::int64_t> rows, const RowOptions& options);

  std::int64_t rows() const { return static_cast<std::int64_t>(rows_.size()); }
  std::int64_t size() const override { return kEndless; }
  std::int32_t example(std::int64_t index, std::vector<std::int32_t>& ids) const override;

 private:
  const TableDataset& table_;
  std::vector<std::int64_t> rows_;
  RowOptions options_;
};

/// Finite: the rows in order, as they stand.
class RowList final : public ExampleSource {
 public:
  RowList(const TableDataset& table, std::vector<std::int64_t> rows, const RowOptions& options);

  std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }
  std::int32_t example(std::int64_t index, std::vector<std::int32_t>& ids) const override;

 private:
  const TableDataset& table_;
  std::vector<std::int64_t> rows_;
  RowOptions options_;
};

/// Mean number of bases that a row gives.
double mean_row_length(const TableDataset& table, const std::vector<std::int64_t>& rows, std::int64_t max_length);

}  // namespace strandline
