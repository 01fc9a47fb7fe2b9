// How the CPU operations cut a pack into tasks. The cuts depend on shapes alone, never on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/checked.hpp"
#include "core/cpu/cpu_context.hpp"

namespace strandline::cpu {

/// Elements in a task: some microseconds of work, so that neither handing it out nor waiting for the last one costs
/// much.
inline constexpr std::int64_t kTaskElements = 16384;

/// Calls body(begin, end, worker) for pieces of [0, rows).
template <class Body>
void for_row_blocks(CpuContext& context, std::int64_t rows, std::int64_t rows_per_block, Body&& body) {
  context.team.parallel_for(ceil_div(rows, rows_per_block), [&](std::int64_t block, int worker) {
    const std::int64_t begin = block * rows_per_block;
    body(begin, std::min(rows, begin + rows_per_block), worker);
  });
}

/// The same with tasks of about kTaskElements, for rows of `width` elements.
template <class Body>
void for_rows(CpuContext& context, std::int64_t rows, std::int64_t width, Body&& body) {
  const std::int64_t rows_per_block = std::max<std::int64_t>(1, kTaskElements / std::max<std::int64_t>(width, 1));
  for_row_blocks(context, rows, rows_per_block, body);
}

}  // namespace strandline::cpu
