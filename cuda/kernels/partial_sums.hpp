// Sums over tokens for the gradients of weights: partial sums of fixed ranges of tokens, then one ordered sum.
#pragma once

#include <cstdint>

#include "cuda/base/context.hpp"

namespace strandline::cuda {

/// How T rows are cut into ranges, one partial sum each. Depends on T alone: the same bits on every card.
struct RowRanges {
  std::int64_t count = 0;
  std::int64_t rows = 0;  ///< of each but the last
};

RowRanges plan_row_ranges(std::int64_t rows);

/// out[row, column] += sum over i of partials[i, row, column], in a fixed order, in double. partials are dense
/// (count, rows, columns); out has rows `out_stride` apart.
struct PartialSums {
  const float* partials = nullptr;
  std::int64_t count = 0;
  std::int64_t rows = 1;
  std::int64_t columns = 0;
  float* out = nullptr;
  std::int64_t out_stride = 0;
};

void add_partial_sums(Context& context, const PartialSums& sums);

}  // namespace strandline::cuda
