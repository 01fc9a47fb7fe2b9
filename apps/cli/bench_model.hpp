// What `strandline bench --model` measures: one sequence through a model of the user's own.
#pragma once

#include <string>
#include <vector>

#include "apps/cli/bench_cases.hpp"

namespace strandline {

/// For each length a forward pass, then for each length a training step (forward, backward, AdamW at rate 0).
/// @throws DataError, IoError when the model cannot be read.
std::vector<BenchCase> model_file_cases(const std::string& path, const BenchOptions& options);

}  // namespace strandline
