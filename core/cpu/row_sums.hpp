// Gradients that are sums over rows, the weights of norms: in fixed blocks of rows, then over the blocks in double.
#pragma once

#include <algorithm>
#include <span>

#include "core/cpu/rows.hpp"

namespace strandline::cpu {

// Rows whose sums are made by one thread into one partial sum. Fixed, so that the sum does not depend on the number of
// threads.
inline constexpr std::int64_t kRowsPerSum = 256;

/// Sums of `channels` numbers each, added to `to_d` in this order; absent ones are computed and dropped.
struct RowSums {
  std::int64_t rows;
  std::int64_t channels;
  std::span<const View> to_d;
};

/// Adds up the partial sums at `partial`, `stride` apart, ascending.
inline void add_partial_sums(CpuContext& context, const float* partial, std::int64_t blocks, std::int64_t stride,
                             const View& to_d) {
  constexpr std::int64_t kColumns = 64;
  auto* to = to_d.as<float>();
  for_row_blocks(context, to_d.size(0), kColumns, [&](std::int64_t begin, std::int64_t end, int) {
    double sum[kColumns] = {};
    for (std::int64_t block = 0; block < blocks; ++block) {
      for (std::int64_t d = begin; d < end; ++d) sum[d - begin] += static_cast<double>(partial[block * stride + d]);
    }
    for (std::int64_t d = begin; d < end; ++d) to[d] += static_cast<float>(sum[d - begin]);
  });
}

/// Runs body(row, sums of its block, worker) for all rows; sum number i of a block begins at sums + i * channels.
template <class Body>
void sum_over_rows(CpuContext& context, const RowSums& args, Body&& body) {
  const std::int64_t blocks = ceil_div(args.rows, kRowsPerSum);
  const std::int64_t stride = args.channels * static_cast<std::int64_t>(args.to_d.size());
  const Workspace::Scope scope(context.scratch[0]);
  float* partial = context.scratch[0].take(DType::f32, {blocks * stride}).template as<float>();
  for_row_blocks(context, args.rows, kRowsPerSum, [&](std::int64_t begin, std::int64_t end, int worker) {
    float* sums = partial + begin / kRowsPerSum * stride;
    std::fill_n(sums, stride, 0.0F);
    for (std::int64_t row = begin; row < end; ++row) body(row, sums, worker);
  });
  for (std::size_t i = 0; i < args.to_d.size(); ++i) {
    if (!args.to_d[i]) continue;
    add_partial_sums(context, partial + static_cast<std::int64_t>(i) * args.channels, blocks, stride, args.to_d[i]);
  }
}

}  // namespace strandline::cpu
