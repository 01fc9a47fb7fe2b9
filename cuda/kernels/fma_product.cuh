// A matrix product of fp32 operands in full fp32, for every shape and stride: what cuBLASLt does not take. Each output
// is one chain of fused multiply-adds over ascending k, so its bits depend on its two operand rows alone.
#pragma once

#include "cuda/base/element.cuh"

namespace strandline::cuda::fma {

inline constexpr int kTile = 64;  // rows and columns of one block
inline constexpr int kSlab = 16;  // depth in shared memory at one time
inline constexpr int kThreads = 256;
inline constexpr int kPerThread = kTile * kSlab / kThreads;
inline constexpr int kPitch = kTile + 4;  // keeps 16-byte alignment, and spreads a transposing store over the banks

struct Source {
  const float* data;
  std::int64_t stride;
  std::int64_t rows;
};

struct Job {
  Source a;
  Source b;
  float* y;
  std::int64_t y_stride;
  std::int64_t y_range_stride;
  const float* bias;
  bool accumulate;
  std::int64_t depth;
  std::int64_t range;
  unsigned row_tiles;
  unsigned column_tiles;
};

/// A thread's share of one tile; in shared memory tiles lie as [k][row]. Neighbouring threads take neighbours along the
/// dense axis of the source.
template <bool kDepthIsDense>
struct Share {
  float item[kPerThread];

  static __device__ __forceinline__ int row_of(int i) {
    const int index = static_cast<int>(threadIdx.x) + i * kThreads;
    return kDepthIsDense ? index / kSlab : index % kTile;
  }
  static __device__ __forceinline__ int depth_of(int i) {
    const int index = static_cast<int>(threadIdx.x) + i * kThreads;
    return kDepthIsDense ? index % kSlab : index / kTile;
  }

  __device__ __forceinline__ void load(const Source& source, std::int64_t row, std::int64_t k, std::int64_t k_end) {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const std::int64_t r = row + row_of(i);
      const std::int64_t d = k + depth_of(i);
      const bool inside = r < source.rows && d < k_end;
      item[i] = inside ? source.data[kDepthIsDense ? r * source.stride + d : d * source.stride + r] : 0.0F;
    }
  }

  __device__ __forceinline__ void store(float* tile) const {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) tile[depth_of(i) * kPitch + row_of(i)] = item[i];
  }
};

/// 16 x 16 threads, 4 x 4 outputs each.
__device__ __forceinline__ void multiply_slab(float (&sums)[4][4], const float* a, const float* b) {
  const int across = static_cast<int>(threadIdx.x) % 16 * 4;
  const int down = static_cast<int>(threadIdx.x) / 16 * 4;
#pragma unroll
  for (int k = 0; k < kSlab; ++k) {
    const float4 a4 = *reinterpret_cast<const float4*>(a + k * kPitch + down);
    const float4 b4 = *reinterpret_cast<const float4*>(b + k * kPitch + across);
    const float left[4] = {a4.x, a4.y, a4.z, a4.w};
    const float right[4] = {b4.x, b4.y, b4.z, b4.w};
#pragma unroll
    for (int m = 0; m < 4; ++m) {
#pragma unroll
      for (int n = 0; n < 4; ++n) sums[m][n] = fmaf(left[m], right[n], sums[m][n]);
    }
  }
}

/// grid x: column tiles within row tiles within ranges. Two buffers, one barrier a slab, as in mma_product.cuh.
template <bool kADense, bool kBDense>
__global__ void __launch_bounds__(kThreads) product_kernel(Job job) {
  __shared__ __align__(16) float a_tiles[2][kSlab * kPitch];
  __shared__ __align__(16) float b_tiles[2][kSlab * kPitch];
  const unsigned column_tile = blockIdx.x % job.column_tiles;
  const unsigned row_tile = blockIdx.x / job.column_tiles % job.row_tiles;
  const std::int64_t range = blockIdx.x / job.column_tiles / job.row_tiles;
  const std::int64_t row = static_cast<std::int64_t>(row_tile) * kTile;
  const std::int64_t column = static_cast<std::int64_t>(column_tile) * kTile;
  const std::int64_t k_begin = range * job.range;
  const std::int64_t k_end = k_begin + job.range < job.depth ? k_begin + job.range : job.depth;

  float sums[4][4]{};
  Share<kADense> a;
  Share<kBDense> b;
  a.load(job.a, row, k_begin, k_end);
  b.load(job.b, column, k_begin, k_end);
  a.store(a_tiles[0]);
  b.store(b_tiles[0]);
  __syncthreads();
  int buffer = 0;
  for (std::int64_t k = k_begin; k < k_end; k += kSlab) {
    const bool more = k + kSlab < k_end;
    if (more) {
      a.load(job.a, row, k + kSlab, k_end);
      b.load(job.b, column, k + kSlab, k_end);
    }
    multiply_slab(sums, a_tiles[buffer], b_tiles[buffer]);
    buffer = 1 - buffer;
    if (more) {
      a.store(a_tiles[buffer]);
      b.store(b_tiles[buffer]);
    }
    __syncthreads();
  }

  const std::int64_t first_row = row + threadIdx.x / 16 * 4;
  const std::int64_t first_column = column + threadIdx.x % 16 * 4;
  float* y = job.y + range * job.y_range_stride;
#pragma unroll
  for (int m = 0; m < 4; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      if (first_row + m >= job.a.rows || first_column + n >= job.b.rows) continue;
      float* place = y + (first_row + m) * job.y_stride + first_column + n;
      float sum = sums[m][n];
      if (job.bias != nullptr) sum += job.bias[first_column + n];
      *place = job.accumulate ? *place + sum : sum;
    }
  }
}

}  // namespace strandline::cuda::fma
