// The decay masks of the Mamba-2 scan. Included only by simd_<isa>.cpp.
#pragma once

#include "core/cpu/simd/simd.hpp"
#include "core/cpu/simd/vec.hpp"

namespace strandline::cpu {
namespace {

template <int W>
struct Scan {
  using V = Vec<W>;

  /// exp(A_row - A_i) for W places from i on, never more than 1. The parts of the pairs are subtracted apart: where the
  /// sums are large and near each other, high - high is exact.
  [[gnu::always_inline]] static inline V decay(const ScanMaskRow& row, std::int64_t i) {
    const V difference = (row.row_high - load<W>(row.high + i)) + (row.row_low - load<W>(row.low + i));
    return cpu::exp<W>(difference > 0.0F ? V{} : difference);
  }

  /// Lanes at or past `count` become zero.
  [[gnu::always_inline]] static inline V keep_first(V value, std::int64_t count) {
    if (count >= W) return value;
    IntVec<W> lane;
    for (int l = 0; l < W; ++l) lane[l] = l;
    return lane < static_cast<std::int32_t>(count) ? value : V{};
  }

  static void mask_row(const ScanMaskRow& row, float* weights) {
    std::int64_t i = 0;
    for (; i < row.count; i += W) {
      const V value = load<W>(row.scores + i) * load<W>(row.scale + i) * decay(row, i);
      store<W>(weights + i, keep_first(value, row.count - i));
    }
    for (; i < row.filled; i += W) store<W>(weights + i, V{});
  }

  static void gradient_row(const ScanGradientRow& args) {
    const ScanMaskRow& row = args.mask;
    std::int64_t i = 0;
    for (; i < row.count; i += W) {
      const V scores = load<W>(row.scores + i);
      const V weights = decay(row, i);
      const V dscores = keep_first(load<W>(args.products + i) * weights * args.delta, row.count - i);
      store<W>(args.weights + i, keep_first(scores * weights, row.count - i));
      store<W>(args.dscores + i, load<W>(args.dscores + i) + dscores);
      store<W>(args.pairs + i, load<W>(args.pairs + i) + keep_first(dscores * scores, row.count - i));
    }
    for (; i < row.filled; i += W) store<W>(args.weights + i, V{});
  }

  template <int NV>
  static void column_dots(std::int64_t rows, const float* a, const float* b, float* sums) {
    V sum[NV] = {};
    for (std::int64_t r = 0; r < rows; ++r, a += NV * W, b += NV * W) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[v] += load<W>(a + v * W) * load<W>(b + v * W);
    }
    for (int v = 0; v < NV; ++v) store<W>(sums + v * W, sum[v]);
  }
};

}  // namespace
}  // namespace strandline::cpu
