// Micro-kernels and packing of the matrix product. Included only by simd_<isa>.cpp; used by core/cpu/gemm.cpp.
#pragma once

#include "core/cpu/simd/vec.hpp"

namespace strandline::cpu {
namespace {

/// An MR x (NV * W) tile of C in registers. Per step of k: NV loads of B and MR broadcasts of A (which x86 folds into
/// the FMA) feed MR * NV FMAs. Every element is one chain over ascending k that starts from 0, whichever entry is used.
template <int W, int MR, int NV>
struct Gemm {
  using V = Vec<W>;
  static constexpr int kColumns = NV * W;
  // B streams from the second-level cache: asking this many steps ahead hides its latency.
  static constexpr int kPrefetchSteps = 8;

  // C is not touched until the sums are done: by then it has come.
  [[gnu::always_inline]] static inline void prefetch(const float* c, std::int64_t c_row) {
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) __builtin_prefetch(c + m * c_row + v * W, 1);
    }
  }

  [[gnu::always_inline]] static inline void finish(const V (&sum)[MR][NV], float* c, std::int64_t c_row,
                                                   bool accumulate) {
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) {
        float* to = c + m * c_row + v * W;
        store<W>(to, accumulate ? load<W>(to) + sum[m][v] : sum[m][v]);
      }
    }
  }

  static void tile_a_rows(std::int64_t k_end, const float* a, std::int64_t stride, int rows, const float* b, float* c,
                          std::int64_t c_row, bool accumulate) {
    const float* a_row[MR];
    for (int m = 0; m < MR; ++m) a_row[m] = a + (m < rows ? m : rows - 1) * stride;
    prefetch(c, c_row);
    V sum[MR][NV] = {};
    for (std::int64_t k = 0; k < k_end; ++k, b += kColumns) {
      V b_v[NV];
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) b_v[v] = load<W>(b + v * W);
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) __builtin_prefetch(b + kPrefetchSteps * kColumns + v * W);
#pragma GCC unroll 16
      for (int m = 0; m < MR; ++m) {
        const float a_m = a_row[m][k];
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) sum[m][v] += a_m * b_v[v];
      }
    }
    finish(sum, c, c_row, accumulate);
  }

  static void tile_a_columns(std::int64_t k_end, const float* a, std::int64_t stride, const float* b, float* c,
                             std::int64_t c_row, bool accumulate) {
    prefetch(c, c_row);
    V sum[MR][NV] = {};
    for (std::int64_t k = 0; k < k_end; ++k, b += kColumns, a += stride) {
      V b_v[NV];
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) b_v[v] = load<W>(b + v * W);
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) __builtin_prefetch(b + kPrefetchSteps * kColumns + v * W);
#pragma GCC unroll 16
      for (int m = 0; m < MR; ++m) {
        const float a_m = a[m];
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) sum[m][v] += a_m * b_v[v];
      }
    }
    finish(sum, c, c_row, accumulate);
  }
};

template <int W>
struct Pack {
  static constexpr int kHalf = W > 4 ? W / 2 : 4;  // the tile of the widest vectors has so many rows

  /// In blocks of 4 x 4: the loads and stores of one packed panel are few beside the products that read it.
  static void transposed(const float* from, std::int64_t stride, int rows, int lanes, std::int64_t depth, float* to) {
    for (int lane = 0; lane < lanes; lane += 4) {
      if (lane + 4 <= rows) {
        four_rows(from + lane * stride, stride, lanes, depth, to + lane);
      } else {
        some_rows(from + lane * stride, stride, rows - lane, lanes, depth, to + lane);
      }
    }
  }

  static void copied(const float* from, std::int64_t stride, int rows, int lanes, std::int64_t depth, float* to) {
    if (rows == kHalf && lanes == kHalf) {
      for (std::int64_t k = 0; k < depth; ++k) store<kHalf>(to + k * kHalf, load<kHalf>(from + k * stride));
      return;
    }
    for (std::int64_t k = 0; k < depth; ++k) {
      const float* source = from + k * stride;
      float* target = to + k * lanes;
      int lane = 0;
      for (; lane + W <= rows; lane += W) store<W>(target + lane, load<W>(source + lane));
      for (; lane + 4 <= rows; lane += 4) store<4>(target + lane, load<4>(source + lane));
      for (; lane < rows; ++lane) target[lane] = source[lane];
      for (; lane < lanes; ++lane) target[lane] = 0.0F;
    }
  }

 private:
  using Quad = Vec<4>;

  [[gnu::always_inline]] static inline void four_rows(const float* from, std::int64_t stride, int lanes,
                                                      std::int64_t depth, float* to) {
    std::int64_t k = 0;
    for (; k + 4 <= depth; k += 4) {
      const Quad r0 = load<4>(from + k);
      const Quad r1 = load<4>(from + stride + k);
      const Quad r2 = load<4>(from + 2 * stride + k);
      const Quad r3 = load<4>(from + 3 * stride + k);
      const Quad low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
      const Quad low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
      const Quad high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
      const Quad high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
      store<4>(to + k * lanes, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
      store<4>(to + (k + 1) * lanes, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
      store<4>(to + (k + 2) * lanes, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
      store<4>(to + (k + 3) * lanes, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
    }
    for (; k < depth; ++k) {
      for (int row = 0; row < 4; ++row) to[k * lanes + row] = from[row * stride + k];
    }
  }

  static void some_rows(const float* from, std::int64_t stride, int rows, int lanes, std::int64_t depth, float* to) {
    for (std::int64_t k = 0; k < depth; ++k) {
      for (int row = 0; row < 4; ++row) to[k * lanes + row] = row < rows ? from[row * stride + k] : 0.0F;
    }
  }
};

}  // namespace
}  // namespace strandline::cpu
