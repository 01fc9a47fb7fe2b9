// Products of many square matrices of one size, in fp32: a block computes 64 by 64 of one product, a thread 4 by 4.
// With 256 rows and 8 matrices that is 128 blocks, about as many as a large card has multiprocessors.
#pragma once

#include <cstdint>

namespace strandline::cuda {

inline constexpr int kProductTile = 64;
inline constexpr int kProductDepth = 16;
inline constexpr int kProductThreads = 256;

/// unit * 1 + factor * data, or its transpose.
struct SquareFactor {
  const float* data = nullptr;
  bool is_transposed = false;
  float factor = 1.0F;
  float unit = 0.0F;
};

/// c = alpha a b + unit * 1 + plus_factor * plus, for `count` dense matrices of m rows and columns. c may be plus, but
/// neither a nor b.
struct SquareProduct {
  SquareFactor a;
  SquareFactor b;
  float alpha = 1.0F;
  float unit = 0.0F;
  const float* plus = nullptr;  ///< may be absent
  float plus_factor = 1.0F;
  float* c = nullptr;
  std::int64_t m = 0;
  std::int64_t tiles = 0;  ///< along one side
};

/// One side of a tile: 64 rows of a, or columns of b, from `line` on, and 16 steps of the sum from `step` on.
struct PanelOrigin {
  std::int64_t matrix;
  std::int64_t line;
  std::int64_t step;
  std::int64_t m;  ///< rows of a matrix
};

using Panel = float[kProductDepth][kProductTile + 4];

/// @param steps_are_inner whether neighbours in memory are neighbours in the sum; threads then go along the sum
__device__ __forceinline__ void load_panel(const SquareFactor& from, const PanelOrigin& origin, bool steps_are_inner,
                                           Panel& panel) {
  const std::int64_t m = origin.m;
  const float* data = from.data + origin.matrix * m * m;
  const int thread = static_cast<int>(threadIdx.x);
  for (int n = 0; n < kProductTile * kProductDepth / kProductThreads; ++n) {
    const int at = thread + n * kProductThreads;
    const int line = steps_are_inner ? at / kProductDepth : at % kProductTile;
    const int step = steps_are_inner ? at % kProductDepth : at / kProductTile;
    const std::int64_t l = origin.line + line;
    const std::int64_t k = origin.step + step;
    float value = 0.0F;
    if (l < m && k < m) {
      value = from.factor * data[steps_are_inner ? l * m + k : k * m + l];
      if (l == k) value += from.unit;
    }
    panel[step][line] = value;
  }
}

__device__ __forceinline__ void multiply_panels(const Panel& a, const Panel& b, float (&sums)[4][4]) {
  const int x = static_cast<int>(threadIdx.x) % 16;
  const int y = static_cast<int>(threadIdx.x) / 16;
  float part[4][4]{};
  for (int step = 0; step < kProductDepth; ++step) {
    const float4 left = *reinterpret_cast<const float4*>(&a[step][y * 4]);
    const float4 right = *reinterpret_cast<const float4*>(&b[step][x * 4]);
    const float rows[4]{left.x, left.y, left.z, left.w};
    const float columns[4]{right.x, right.y, right.z, right.w};
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) part[i][j] = fmaf(rows[i], columns[j], part[i][j]);
    }
  }
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) sums[i][j] += part[i][j];
  }
}

__global__ __launch_bounds__(kProductThreads) void square_product_kernel(const SquareProduct args) {
  __shared__ alignas(16) Panel a;
  __shared__ alignas(16) Panel b;
  const std::int64_t block = blockIdx.x;
  const std::int64_t matrix = block / (args.tiles * args.tiles);
  const std::int64_t row_begin = block / args.tiles % args.tiles * kProductTile;
  const std::int64_t column_begin = block % args.tiles * kProductTile;
  float sums[4][4]{};
  for (std::int64_t step = 0; step < args.m; step += kProductDepth) {
    load_panel(args.a, {matrix, row_begin, step, args.m}, !args.a.is_transposed, a);
    load_panel(args.b, {matrix, column_begin, step, args.m}, args.b.is_transposed, b);
    __syncthreads();
    multiply_panels(a, b, sums);
    __syncthreads();
  }
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const std::int64_t row = row_begin + threadIdx.x / 16 * 4 + i;
      const std::int64_t column = column_begin + threadIdx.x % 16 * 4 + j;
      if (row >= args.m || column >= args.m) continue;
      const std::int64_t place = (matrix * args.m + row) * args.m + column;
      float value = args.alpha * sums[i][j];
      if (row == column) value += args.unit;
      if (args.plus != nullptr) value += args.plus_factor * args.plus[place];
      args.c[place] = value;
    }
  }
}

}  // namespace strandline::cuda
