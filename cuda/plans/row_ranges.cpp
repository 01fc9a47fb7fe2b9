#include "cuda/plans/row_ranges.hpp"

#include <algorithm>

#include "core/base/checked.hpp"

namespace strandline::cuda {

// At least 32 rows a range, so that writing partial sums stays a small part of the reading; at most 2,112 = 16 blocks
// on each of 132 multiprocessors, so that the partial sums stay small.
RowRanges plan_row_ranges(std::int64_t rows) {
  constexpr std::int64_t kFewestRows = 32;
  constexpr std::int64_t kMostRanges = 2112;
  const std::int64_t each = std::max(kFewestRows, ceil_div(rows, kMostRanges));
  return {.count = ceil_div(rows, each), .rows = each};
}

RowRanges plan_row_ranges(std::int64_t rows, std::int64_t sum_bytes, std::int64_t most_bytes) {
  const std::int64_t allowed = std::max<std::int64_t>(1, most_bytes / std::max<std::int64_t>(1, sum_bytes));
  const std::int64_t each = std::max(plan_row_ranges(rows).rows, ceil_div(rows, allowed));
  return {.count = ceil_div(rows, each), .rows = each};
}

}  // namespace strandline::cuda
