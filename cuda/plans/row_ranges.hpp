// How rows are cut into ranges for sums over all of them: host arithmetic alone, tested without a GPU.
#pragma once

#include <cstdint>

namespace strandline::cuda {

/// One partial sum each. Depends on the number of rows alone: the same bits on every card.
struct RowRanges {
  std::int64_t count = 0;
  std::int64_t rows = 0;  ///< of each but the last
};

RowRanges plan_row_ranges(std::int64_t rows);

/// No more ranges than `most_bytes` of partial sums allow, each of `sum_bytes`; one at least.
RowRanges plan_row_ranges(std::int64_t rows, std::int64_t sum_bytes, std::int64_t most_bytes);

}  // namespace strandline::cuda
