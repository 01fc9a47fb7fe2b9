// A matrix product of bf16 operands on tensor cores (mma.sync m16n8k16, compute capability 8.0 and later), for every
// shape, stride and alignment: what cuBLASLt does not take. Sums are fp32 and run over ascending k in one accumulator,
// zeros beyond the depth, so that the bits of y[m, n] depend on row m of a and row n of b alone.
#pragma once

#include "core/base/checked.hpp"
#include "cuda/base/element.cuh"
#include "cuda/kernels/tensor_core.cuh"

namespace strandline::cuda::mma {

inline constexpr int kTile = 128;  // rows and columns of one block
inline constexpr int kSlab = 32;   // depth in shared memory at one time
inline constexpr int kThreads = 256;
inline constexpr int kChunk = 8;  // elements that travel together: 16 bytes of shared memory
inline constexpr int kChunksPerThread = kTile * kSlab / kChunk / kThreads;
inline constexpr int kStagePitch = kTile + 4;

struct Source {
  const bf16* data;
  std::int64_t stride;
  std::int64_t rows;
  int load_bytes;  // 16, 4 or 2: what address and stride allow
};

template <class Y>
struct Target {
  Y* data;
  std::int64_t stride;
  std::int64_t range_stride;
  const float* bias;
  bool accumulate;
  bool by_pairs;  // address and stride allow two elements at once
};

template <class Y>
struct Job {
  Source a;
  Source b;
  Target<Y> y;
  std::int64_t depth;
  std::int64_t range;  // depth of one range
  unsigned row_tiles;
  unsigned column_tiles;
};

// A tile lies in shared memory as in the source: rows of depth, or slabs of rows. The pitch is 16 bytes more than the
// row (20 and 68 words), so the eight rows of an ldmatrix lie in different banks: 20 r and 68 r, modulo 32, are
// multiples of 4 that differ for r = 0..7.
template <bool kDepthIsDense>
struct TileLayout {
  static constexpr int kOuter = kDepthIsDense ? kTile : kSlab;
  static constexpr int kInner = kDepthIsDense ? kSlab : kTile;
  static constexpr int kPitch = kInner + kChunk;
  static constexpr int kElements = kOuter * kPitch;
};

union Chunk {
  uint4 bits;
  bf16 item[kChunk];
  __device__ Chunk() : bits{0U, 0U, 0U, 0U} {}
};

/// `valid` (any number) elements from `from`, zeros after them. Nothing outside of them is read.
__device__ __forceinline__ uint4 load_chunk(const bf16* from, int valid, int load_bytes) {
  Chunk chunk;
  if (valid >= kChunk && load_bytes == 16) {
    chunk.bits = __ldg(reinterpret_cast<const uint4*>(from));
  } else if (load_bytes >= 4) {
    unsigned* words = &chunk.bits.x;
#pragma unroll
    for (int pair = 0; pair < kChunk / 2; ++pair) {
      if (2 * pair + 1 < valid) {
        words[pair] = __ldg(reinterpret_cast<const unsigned*>(from + 2 * pair));
      } else if (2 * pair < valid) {
        chunk.item[2 * pair] = from[2 * pair];
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      if (i < valid) chunk.item[i] = from[i];
    }
  }
  return chunk.bits;
}

/// A thread's share of one tile on its way from device to shared memory.
template <bool kDepthIsDense>
struct Share {
  using Layout = TileLayout<kDepthIsDense>;
  static constexpr int kChunksPerOuter = Layout::kInner / kChunk;
  uint4 chunk[kChunksPerThread];

  static __device__ __forceinline__ int outer(int i) {
    return (static_cast<int>(threadIdx.x) + i * kThreads) / kChunksPerOuter;
  }
  static __device__ __forceinline__ int inner(int i) {
    return (static_cast<int>(threadIdx.x) + i * kThreads) % kChunksPerOuter * kChunk;
  }

  /// `corner` is the tile's first element, inside the source or not; zeros stand for what is beyond the two counts.
  __device__ __forceinline__ void load(const Source& source, const bf16* corner, int rows_left, int depth_left) {
    const int outer_left = kDepthIsDense ? rows_left : depth_left;
    const int inner_left = kDepthIsDense ? depth_left : rows_left;
#pragma unroll
    for (int i = 0; i < kChunksPerThread; ++i) {
      const int valid = outer(i) < outer_left ? inner_left - inner(i) : 0;
      chunk[i] = load_chunk(corner + outer(i) * source.stride + inner(i), valid, source.load_bytes);
    }
  }

  __device__ __forceinline__ void store(bf16* tile) const {
#pragma unroll
    for (int i = 0; i < kChunksPerThread; ++i) {
      *reinterpret_cast<uint4*>(tile + outer(i) * Layout::kPitch + inner(i)) = chunk[i];
    }
  }
};

// Eight warps, two down and four across, 64 x 32 outputs each: 4 x 4 products of m16n8k16.
inline constexpr int kWarpsAcross = 4;
inline constexpr int kWarpRows = 64;
inline constexpr int kWarpColumns = 32;
inline constexpr int kDown = kWarpRows / 16;
inline constexpr int kAcross = kWarpColumns / 8;

using Sums = float[kDown][kAcross][4];

template <bool kDepthIsDense>
__device__ __forceinline__ const bf16* matrix_row(const bf16* tile, int row, int k) {
  return tile +
         (kDepthIsDense ? row * TileLayout<kDepthIsDense>::kPitch + k : k * TileLayout<kDepthIsDense>::kPitch + row);
}

/// One slab. A fragment of a is (rows 0-7, k 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15); two of b are (columns 0-7,
/// k 0-7), (0-7, 8-15), (8-15, 0-7), (8-15, 8-15). Within a matrix, lane % 8 counts the rows of the tile as it lies:
/// rows of the operand when the depth is dense, k otherwise.
template <bool kADense, bool kBDense>
__device__ __forceinline__ void multiply_slab(Sums& sums, const bf16* a, const bf16* b) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int step = lane % 8;
  const int low = lane / 8 % 2 * 8;
  const int high = lane / 16 * 8;
  const int a_row = warp / kWarpsAcross * kWarpRows + low + (kADense ? step : 0);
  const int a_k = high + (kADense ? 0 : step);
  const int b_row = warp % kWarpsAcross * kWarpColumns + high + (kBDense ? step : 0);
  const int b_k = low + (kBDense ? 0 : step);
#pragma unroll
  for (int k = 0; k < kSlab; k += 16) {
    unsigned b_fragment[kAcross / 2][4];
#pragma unroll
    for (int n = 0; n < kAcross / 2; ++n) {
      load_matrices<!kBDense>(b_fragment[n], matrix_row<kBDense>(b, b_row + 16 * n, b_k + k));
    }
#pragma unroll
    for (int m = 0; m < kDown; ++m) {
      unsigned a_fragment[4];
      load_matrices<!kADense>(a_fragment, matrix_row<kADense>(a, a_row + 16 * m, a_k + k));
#pragma unroll
      for (int n = 0; n < kAcross; ++n) {
        multiply_add(sums[m][n], a_fragment, b_fragment[n / 2][n % 2 * 2], b_fragment[n / 2][n % 2 * 2 + 1]);
      }
    }
  }
}

template <class Y>
__device__ __forceinline__ void write_one(const Target<Y>& y, Y* row, std::int64_t column, float sum) {
  if (y.bias != nullptr) sum += y.bias[column];
  if (y.accumulate) sum += to_float(row[column]);
  row[column] = from_float<Y>(sum);
}

template <class Y>
__device__ __forceinline__ void write_two(const Target<Y>& y, Y* row, std::int64_t column, float2 sum) {
  if (y.bias != nullptr) sum = {sum.x + y.bias[column], sum.y + y.bias[column + 1]};
  auto* pair = reinterpret_cast<Pack<Y, 2>*>(row + column);
  if (y.accumulate) {
    const Pack<Y, 2> before = *pair;
    sum = {sum.x + to_float(before.item[0]), sum.y + to_float(before.item[1])};
  }
  *pair = {{from_float<Y>(sum.x), from_float<Y>(sum.y)}};
}

/// One row of the stage, by one warp.
template <class Y>
__device__ __forceinline__ void write_row(const Target<Y>& y, Y* row, const float* sums, int columns_left) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (y.by_pairs) {
#pragma unroll
    for (int column = 2 * lane; column < kTile; column += 64) {
      if (column + 1 < columns_left) {
        write_two(y, row, column, *reinterpret_cast<const float2*>(sums + column));
      } else if (column < columns_left) {
        write_one(y, row, column, sums[column]);
      }
    }
  } else {
#pragma unroll
    for (int column = lane; column < kTile; column += 32) {
      if (column < columns_left) write_one(y, row, column, sums[column]);
    }
  }
}

struct Place {
  std::int64_t row;
  std::int64_t column;
  int rows_left;  // in this tile
  int columns_left;
};

/// Through shared memory, 64 rows at a time, so that rows leave in long pieces.
template <class Y>
__device__ __forceinline__ void write_tile(Target<Y> y, const Place& at, const Sums& sums, float* stage) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  if (y.bias != nullptr) y.bias += at.column;
  for (int half = 0; half < kTile / kWarpRows; ++half) {
    if (warp / kWarpsAcross == half) {
      float* corner = stage + lane / 4 * kStagePitch + warp % kWarpsAcross * kWarpColumns + lane % 4 * 2;
#pragma unroll
      for (int m = 0; m < kDown; ++m) {
#pragma unroll
        for (int n = 0; n < kAcross; ++n) {
          float* place = corner + 16 * m * kStagePitch + 8 * n;
          *reinterpret_cast<float2*>(place) = {sums[m][n][0], sums[m][n][1]};
          *reinterpret_cast<float2*>(place + 8 * kStagePitch) = {sums[m][n][2], sums[m][n][3]};
        }
      }
    }
    __syncthreads();
    for (int r = warp; r < kWarpRows; r += kThreads / 32) {
      const int row = half * kWarpRows + r;
      if (row >= at.rows_left) break;
      write_row(y, y.data + (at.row + row) * y.stride + at.column, stage + r * kStagePitch, at.columns_left);
    }
    __syncthreads();
  }
}

template <bool kADense, bool kBDense>
constexpr int shared_bytes() {
  constexpr int kTiles =
      2 * (TileLayout<kADense>::kElements + TileLayout<kBDense>::kElements) * static_cast<int>(sizeof(bf16));
  constexpr int kStage = kWarpRows * kStagePitch * static_cast<int>(sizeof(float));
  return kTiles > kStage ? kTiles : kStage;
}

__device__ __forceinline__ int left(std::int64_t count, int most) {
  return count < most ? static_cast<int>(count) : most;
}

template <bool kDepthIsDense>
__device__ __forceinline__ const bf16* corner_of(const Source& source, std::int64_t row, std::int64_t k) {
  return source.data + (kDepthIsDense ? row * source.stride + k : k * source.stride + row);
}

/// grid x: column tiles within row tiles within ranges, so that neighbouring blocks share rows of a.
/// While one slab is multiplied the next is on its way into registers; it is stored into the buffer that the step
/// before the last barrier read, so one barrier a slab is enough.
template <class Y, bool kADense, bool kBDense>
__global__ void __launch_bounds__(kThreads, 2) product_kernel(Job<Y> job) {
  constexpr int kATile = TileLayout<kADense>::kElements;
  constexpr int kBTile = TileLayout<kBDense>::kElements;
  __shared__ __align__(16) unsigned char memory[shared_bytes<kADense, kBDense>()];
  auto* a_tiles = reinterpret_cast<bf16*>(memory);
  bf16* b_tiles = a_tiles + 2 * kATile;

  const unsigned column_tile = blockIdx.x % job.column_tiles;
  const unsigned row_tile = blockIdx.x / job.column_tiles % job.row_tiles;
  const std::int64_t range = blockIdx.x / job.column_tiles / job.row_tiles;
  const std::int64_t row = static_cast<std::int64_t>(row_tile) * kTile;
  const std::int64_t column = static_cast<std::int64_t>(column_tile) * kTile;
  const std::int64_t k_begin = range * job.range;
  const std::int64_t depth = job.depth - k_begin < job.range ? job.depth - k_begin : job.range;
  const int rows_left = left(job.a.rows - row, kTile);
  const int columns_left = left(job.b.rows - column, kTile);
  const bf16* a_corner = corner_of<kADense>(job.a, row, k_begin);
  const bf16* b_corner = corner_of<kBDense>(job.b, column, k_begin);

  Sums sums{};
  Share<kADense> a;
  Share<kBDense> b;
  a.load(job.a, a_corner, rows_left, left(depth, kSlab));
  b.load(job.b, b_corner, columns_left, left(depth, kSlab));
  a.store(a_tiles);
  b.store(b_tiles);
  __syncthreads();
  int buffer = 0;
  for (std::int64_t depth_left = depth; depth_left > 0; depth_left -= kSlab) {
    const bool more = depth_left > kSlab;
    if (more) {
      a_corner += kSlab * (kADense ? 1 : job.a.stride);
      b_corner += kSlab * (kBDense ? 1 : job.b.stride);
      a.load(job.a, a_corner, rows_left, left(depth_left - kSlab, kSlab));
      b.load(job.b, b_corner, columns_left, left(depth_left - kSlab, kSlab));
    }
    multiply_slab<kADense, kBDense>(sums, a_tiles + buffer * kATile, b_tiles + buffer * kBTile);
    buffer = 1 - buffer;
    if (more) {
      a.store(a_tiles + buffer * kATile);
      b.store(b_tiles + buffer * kBTile);
    }
    __syncthreads();
  }
  job.y.data += range * job.y.range_stride;
  write_tile(job.y, {row, column, rows_left, columns_left}, sums, reinterpret_cast<float*>(memory));
}

}  // namespace strandline::cuda::mma
