// Small matrix products between tiles in shared memory: fp32 by fused multiply-adds, bf16 by tensor cores with sums in
// fp32. Both take any sizes that are multiples of 16; what does not exist holds zeros.
#pragma once

#include "cuda/base/element.cuh"
#include "cuda/kernels/tensor_core.cuh"

namespace strandline::cuda {

/// Rows of a matrix in shared memory.
template <class T>
struct Tile {
  T* data;
  int stride;

  __device__ __forceinline__ T* row(int index) const { return data + index * stride; }
};

/// How an operand lies in memory, as the product reads it: A(i, k) at row i (rows) or at row k (columns), B(k, j)
/// likewise at row k (rows) or at row j (columns).
enum class Lies { rows, columns };

struct KRange {
  int begin, end;
};

/// Where A is a triangle, tensor cores leave out the products with its zeros, 16 rows at a time.
enum class Shape16 { full, lower, upper };

struct ProductSizes {
  int m, n, k;
  bool accumulate;  ///< add to what C holds
  Shape16 shape = Shape16::full;
  const float* row_factors = nullptr;  ///< what C holds is multiplied by these first, row by row

  __device__ __forceinline__ KRange range(int i0) const {
    return {shape == Shape16::upper ? i0 : 0, shape == Shape16::lower ? min(i0 + 16, k) : k};
  }
};

/// C = A B in fp32. A thread makes 4 x 4 elements that lie a quarter of the matrix apart, so that the lanes of a warp
/// read neighbouring words. k runs upwards in one sum per element.
template <int kThreads, Lies kA, Lies kB>
__device__ __forceinline__ void tile_product(const Tile<float>& a, const Tile<float>& b, const Tile<float>& c,
                                             const ProductSizes& sizes) {
  const int rows = sizes.m / 4;
  const int columns = sizes.n / 4;
  for (int index = static_cast<int>(threadIdx.x); index < rows * columns; index += kThreads) {
    const int i0 = index / columns;
    const int j0 = index % columns;
    float sum[4][4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float factor = sizes.row_factors != nullptr ? sizes.row_factors[i0 + i * rows] : 1.0F;
#pragma unroll
      for (int j = 0; j < 4; ++j) sum[i][j] = sizes.accumulate ? factor * c.row(i0 + i * rows)[j0 + j * columns] : 0.0F;
    }
#pragma unroll 4
    for (int k = 0; k < sizes.k; ++k) {
      float left[4];
      float right[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = i0 + i * rows;
        left[i] = kA == Lies::rows ? a.row(row)[k] : a.row(k)[row];
        const int column = j0 + i * columns;
        right[i] = kB == Lies::rows ? b.row(k)[column] : b.row(column)[k];
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(left[i], right[j], sum[i][j]);
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) c.row(i0 + i * rows)[j0 + j * columns] = sum[i][j];
    }
  }
}

/// The part of A that the tensor core takes: rows i0 to i0 + 15, k to k + 15.
template <Lies kA>
__device__ __forceinline__ void load_left(unsigned (&left)[4], const Tile<bf16>& a, int i0, int k) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int low = lane % 8;
  const int second = lane / 8 % 2 * 8;
  const int upper = lane / 16 * 8;
  if constexpr (kA == Lies::rows) {
    load_matrices<false>(left, a.row(i0 + low + second) + k + upper);
  } else {
    load_matrices<true>(left, a.row(k + low + upper) + i0 + second);
  }
}

/// The part of B: k to k + 15, columns j0 to j0 + 15; two operands of 8 columns.
template <Lies kB>
__device__ __forceinline__ void load_right(unsigned (&right)[4], const Tile<bf16>& b, int k, int j0) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int low = lane % 8;
  const int second = lane / 8 % 2 * 8;
  const int upper = lane / 16 * 8;
  if constexpr (kB == Lies::rows) {
    load_matrices<true>(right, b.row(k + low + second) + j0 + upper);
  } else {
    load_matrices<false>(right, b.row(j0 + low + upper) + k + second);
  }
}

/// The same for bf16 operands: a warp makes 16 x 32 elements at a time. Rows of C are 8 words apart modulo the banks.
template <int kThreads, Lies kA, Lies kB>
__device__ __forceinline__ void tile_product(const Tile<bf16>& a, const Tile<bf16>& b, const Tile<float>& c,
                                             const ProductSizes& sizes) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  // Narrower blocks where there would be fewer than warps.
  const int block_columns = sizes.m / 16 * ((sizes.n + 31) / 32) < kThreads / 32 ? 16 : 32;
  const int columns = (sizes.n + block_columns - 1) / block_columns;
  const int blocks = sizes.m / 16 * columns;
  for (int block = static_cast<int>(threadIdx.x) / 32; block < blocks; block += kThreads / 32) {
    const int i0 = block / columns * 16;
    const int j0 = block % columns * block_columns;
    const bool wide = block_columns == 32 && j0 + 16 < sizes.n;
    float* const to = c.row(i0 + lane / 4) + j0 + lane % 4 * 2;
    float sum[4][4]{};
    if (sizes.accumulate) {
      float factor[2]{1.0F, 1.0F};
      if (sizes.row_factors != nullptr) {
        factor[0] = sizes.row_factors[i0 + lane / 4];
        factor[1] = sizes.row_factors[i0 + lane / 4 + 8];
      }
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        if (part >= 2 && !wide) continue;
#pragma unroll
        for (int row = 0; row < 2; ++row) {
          const auto pair = *reinterpret_cast<const float2*>(to + row * 8 * c.stride + part * 8);
          sum[part][2 * row] = factor[row] * pair.x;
          sum[part][2 * row + 1] = factor[row] * pair.y;
        }
      }
    }
    const KRange range = sizes.range(i0);
    for (int k = range.begin; k < range.end; k += 16) {
      unsigned left[4];
      unsigned right[4];
      load_left<kA>(left, a, i0, k);
      load_right<kB>(right, b, k, j0);
      multiply_add(sum[0], left, right[0], right[1]);
      multiply_add(sum[1], left, right[2], right[3]);
      if (!wide) continue;
      load_right<kB>(right, b, k, j0 + 16);
      multiply_add(sum[2], left, right[0], right[1]);
      multiply_add(sum[3], left, right[2], right[3]);
    }
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      if (part >= 2 && !wide) continue;
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        *reinterpret_cast<float2*>(to + row * 8 * c.stride + part * 8) = {sum[part][2 * row], sum[part][2 * row + 1]};
      }
    }
  }
}

}  // namespace strandline::cuda
