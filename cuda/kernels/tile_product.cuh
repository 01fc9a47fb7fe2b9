// Small matrix products between tiles in shared memory: fp32 by fused multiply-adds, bf16 by tensor cores with sums in
// fp32. Both take any sizes that are multiples of 16; what does not exist holds zeros.
#pragma once

#include <mma.h>

#include "cuda/base/element.cuh"

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

struct ProductSizes {
  int m, n, k;
  bool accumulate;  ///< add to what C holds
};

/// C = A B in fp32. A thread makes 4 x 4 elements that lie a quarter of the matrix apart, so that the lanes of a warp
/// read neighbouring words. k runs upwards in one sum per element.
template <int kThreads, Lies kA, Lies kB>
__device__ void tile_product(const Tile<float>& a, const Tile<float>& b, const Tile<float>& c,
                             const ProductSizes& sizes) {
  const int rows = sizes.m / 4;
  const int columns = sizes.n / 4;
  for (int index = static_cast<int>(threadIdx.x); index < rows * columns; index += kThreads) {
    const int i0 = index / columns;
    const int j0 = index % columns;
    float sum[4][4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) sum[i][j] = sizes.accumulate ? c.row(i0 + i * rows)[j0 + j * columns] : 0.0F;
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

/// The same for bf16 operands: a warp makes 16 x 32 elements at a time from fragments of 16 x 16 x 16.
template <int kThreads, Lies kA, Lies kB>
__device__ void tile_product(const Tile<bf16>& a, const Tile<bf16>& b, const Tile<float>& c,
                             const ProductSizes& sizes) {
  namespace wmma = nvcuda::wmma;
  using LayoutA = std::conditional_t<kA == Lies::rows, wmma::row_major, wmma::col_major>;
  using LayoutB = std::conditional_t<kB == Lies::rows, wmma::row_major, wmma::col_major>;
  wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, LayoutA> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, LayoutB> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum[2];
  const int columns = (sizes.n + 31) / 32;
  const int blocks = sizes.m / 16 * columns;
  for (int block = static_cast<int>(threadIdx.x) / 32; block < blocks; block += kThreads / 32) {
    const int i0 = block / columns * 16;
    const int j0 = block % columns * 32;
    const int halves = j0 + 16 < sizes.n ? 2 : 1;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (half >= halves) continue;
      if (sizes.accumulate) {
        wmma::load_matrix_sync(sum[half], c.row(i0) + j0 + 16 * half, static_cast<unsigned>(c.stride),
                               wmma::mem_row_major);
      } else {
        wmma::fill_fragment(sum[half], 0.0F);
      }
    }
    for (int k = 0; k < sizes.k; k += 16) {
      wmma::load_matrix_sync(left, kA == Lies::rows ? a.row(i0) + k : a.row(k) + i0, static_cast<unsigned>(a.stride));
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (half >= halves) continue;
        const int j = j0 + 16 * half;
        wmma::load_matrix_sync(right, kB == Lies::rows ? b.row(k) + j : b.row(j) + k, static_cast<unsigned>(b.stride));
        wmma::mma_sync(sum[half], left, right, sum[half]);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (half >= halves) continue;
      wmma::store_matrix_sync(c.row(i0) + j0 + 16 * half, sum[half], static_cast<unsigned>(c.stride),
                              wmma::mem_row_major);
    }
  }
}

}  // namespace strandline::cuda
