// Training data from a table of labelled sequences.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pipelines/dna/table_dataset.hpp"
#include "pipelines/run/training_data.hpp"

namespace strandline {

struct TableDataOptions {
  std::string path;
  TableColumns columns{};
  std::int64_t max_length = 0;  ///< longer rows are cut; 0: whole rows
  bool both_strands = true;
  double held_out_fraction = 0.1;  ///< where the table has no split column or no validation rows
  std::uint64_t seed = 0;
};

/// Rows marked "test" judge the model; without such rows, the validation rows both choose the weights and judge.
/// @throws DataError, IoError as read_table_dataset.
std::unique_ptr<TrainingData> load_table(const TableDataOptions& options);

}  // namespace strandline
