// Tiles of 64 by 64 that the attention kernels are made of: scores of 64 own rows with 64 rows of the other side, and
// weighted sums of those. Element types are looked at when a tile is loaded, so that one kernel serves all of them.
//
// A block has 16 by 16 threads, a thread 4 rows and 4 columns. Shared rows are 68 floats long: 16 rows of one column,
// read 16 bytes at a time, then take the fewest possible passes (row * 68 = row * 4 modulo 32 banks), as do 16 bytes of
// neighbouring columns. Cost of 64 multiply-adds of a thread: 12 passes through shared memory to 16 of arithmetic.
#pragma once

#include <cstdint>

#include "cuda/base/element.cuh"
#include "cuda/kernels/sequences.cuh"

namespace strandline::cuda {

inline constexpr int kTile = 64;
inline constexpr int kTileStride = kTile + 4;
inline constexpr int kTileFloats = kTile * kTileStride;
inline constexpr int kTileThreads = 256;
inline constexpr int kLanes = 16;  // threads along each side of a tile
inline constexpr int kEach = kTile / kLanes;

/// What a thread holds of a tile.
using Patch = float[kEach][kEach];

/// A tensor (tokens, heads, width) of either element type.
struct Heads {
  const void* data = nullptr;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  bool is_bf16 = false;
  bool by_four = false;  ///< four neighbours from a multiple of four on are aligned to their size
};

/// The same, written.
struct HeadsOut {
  void* data = nullptr;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  bool is_bf16 = false;
};

/// Up to 64 neighbouring tokens of one head.
struct TileRows {
  const Heads& of;
  std::int64_t offset;  ///< of the first element
  int rows;
};

__device__ __forceinline__ TileRows rows_at(const Heads& of, std::int64_t token, int head, int rows) {
  return {of, token * of.token_stride + head * of.head_stride, rows};
}

template <class T>
__device__ __forceinline__ float4 load_four(const T* from, bool by_four, int count) {
  float4 value = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
  if (by_four && count >= 4) {
    const auto pack = load_pack<4>(from);
    return make_float4(to_float(pack.item[0]), to_float(pack.item[1]), to_float(pack.item[2]), to_float(pack.item[3]));
  }
  if (count > 0) value.x = to_float(from[0]);
  if (count > 1) value.y = to_float(from[1]);
  if (count > 2) value.z = to_float(from[2]);
  if (count > 3) value.w = to_float(from[3]);
  return value;
}

/// Columns [column_begin, column_begin + 64) of the rows; zeros where there are none.
__device__ __forceinline__ void load_tile(const TileRows& from, int column_begin, int width, float* tile) {
  const int column = static_cast<int>(threadIdx.x) % kLanes * 4;
  const int count = width - column_begin - column;
  for (int row = static_cast<int>(threadIdx.x) / kLanes; row < kTile; row += kLanes) {
    float4 value = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
    if (row < from.rows && count > 0) {
      const std::int64_t offset = from.offset + row * from.of.token_stride + column_begin + column;
      value = from.of.is_bf16 ? load_four(static_cast<const bf16*>(from.of.data) + offset, from.of.by_four, count)
                              : load_four(static_cast<const float*>(from.of.data) + offset, from.of.by_four, count);
    }
    *reinterpret_cast<float4*>(tile + row * kTileStride + column) = value;
  }
}

__device__ __forceinline__ float4 four_of(const float* tile, int row, int column) {
  return *reinterpret_cast<const float4*>(tile + row * kTileStride + column);
}

/// The rows that a block owns. They stay in shared memory when they are no wider than a tile.
struct OwnRows {
  TileRows rows;
  float* tile;
  bool is_loaded = false;
};

/// Those of the other side, and where their columns come to lie.
struct OtherRows {
  TileRows rows;
  float* tile;
};

/// products[i][j] += own row 4 y + i . other row x + 16 j, for thread (x, y). All threads of the block must call.
__device__ __forceinline__ void add_products(OwnRows& own, const OtherRows& others, int width, Patch& products) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  const int y = static_cast<int>(threadIdx.x) / kLanes;
  for (int begin = 0; begin < width; begin += kTile) {
    __syncthreads();  // whoever read the tiles is done
    if (!own.is_loaded) load_tile(own.rows, begin, width, own.tile);
    load_tile(others.rows, begin, width, others.tile);
    __syncthreads();
    const int columns = min(kTile, width - begin);
    for (int column = 0; column < columns; column += 4) {
      float4 a[kEach];
      for (int i = 0; i < kEach; ++i) a[i] = four_of(own.tile, y * kEach + i, column);
      for (int j = 0; j < kEach; ++j) {
        const float4 b = four_of(others.tile, x + kLanes * j, column);
        for (int i = 0; i < kEach; ++i) {
          float& sum = products[i][j];
          sum = fmaf(a[i].x, b.x, sum);
          sum = fmaf(a[i].y, b.y, sum);
          sum = fmaf(a[i].z, b.z, sum);
          sum = fmaf(a[i].w, b.w, sum);
        }
      }
    }
  }
  own.is_loaded = width <= kTile;
}

/// Puts what add_products laid out into shared memory, and columns from columns.x on of the others (columns.y wide)
/// beside it. All threads of the block must call.
__device__ __forceinline__ void share_weights(const Patch& weights, const OtherRows& others, int2 columns,
                                              float* weights_tile) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  const int y = static_cast<int>(threadIdx.x) / kLanes;
  __syncthreads();
  for (int i = 0; i < kEach; ++i) {
    for (int j = 0; j < kEach; ++j) weights_tile[(y * kEach + i) * kTileStride + x + kLanes * j] = weights[i][j];
  }
  load_tile(others.rows, columns.x, columns.y, others.tile);
  __syncthreads();
}

/// sums[i][c] += sum over the other rows r of weight[4 y + i][r] * other[r][4 x + c]. The tile is summed by itself
/// first: the error of a sum over many tiles then grows with their number, not with that of the rows.
__device__ __forceinline__ void add_weighted(const float* weights_tile, const float* others_tile, int rows,
                                             Patch& sums) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  const int y = static_cast<int>(threadIdx.x) / kLanes;
  Patch part{};
  for (int row = 0; row < rows; row += 4) {  // up to three rows beyond are zeros, as are their weights
    float4 weight[kEach];
    for (int i = 0; i < kEach; ++i) weight[i] = four_of(weights_tile, y * kEach + i, row);
    for (int r = 0; r < 4; ++r) {
      const float4 value = four_of(others_tile, row + r, x * kEach);
      for (int i = 0; i < kEach; ++i) {
        const float factor = r == 0 ? weight[i].x : r == 1 ? weight[i].y : r == 2 ? weight[i].z : weight[i].w;
        part[i][0] = fmaf(factor, value.x, part[i][0]);
        part[i][1] = fmaf(factor, value.y, part[i][1]);
        part[i][2] = fmaf(factor, value.z, part[i][2]);
        part[i][3] = fmaf(factor, value.w, part[i][3]);
      }
    }
  }
  for (int i = 0; i < kEach; ++i) {
    for (int c = 0; c < kEach; ++c) sums[i][c] += part[i][c];
  }
}

/// Rows of a result, as TileRows.
struct TileRowsOut {
  const HeadsOut& to;
  std::int64_t offset;  ///< of the first element
  int rows;
};

__device__ __forceinline__ TileRowsOut rows_at(const HeadsOut& to, std::int64_t token, int head, int rows) {
  return {to, token * to.token_stride + head * to.head_stride, rows};
}

/// Writes sums[i][c] of thread (x, y) to column columns.x + 4 x + c of row 4 y + i, where there is one.
__device__ __forceinline__ void store_tile(const Patch& sums, const TileRowsOut& out, int2 columns) {
  const int x = static_cast<int>(threadIdx.x) % kLanes;
  const int y = static_cast<int>(threadIdx.x) / kLanes;
  for (int i = 0; i < kEach; ++i) {
    for (int c = 0; c < kEach; ++c) {
      const int row = y * kEach + i;
      const int column = columns.x + x * kEach + c;
      if (row >= out.rows || column >= columns.y) continue;
      const std::int64_t place = out.offset + row * out.to.token_stride + column;
      if (out.to.is_bf16) {
        static_cast<bf16*>(out.to.data)[place] = from_float<bf16>(sums[i][c]);
      } else {
        static_cast<float*>(out.to.data)[place] = sums[i][c];
      }
    }
  }
}

/// Sequences of the side whose rows a block owns, and of the side that it runs over.
struct Sides {
  const std::int64_t* own_begin;
  const std::int64_t* other_begin;
  std::int64_t sequences;
};

/// 64 rows of one sequence, or its last ones.
struct Share {
  std::int64_t begin;
  int rows;
  std::int64_t other_begin;
  std::int64_t other_end;
};

/// Sequence s gets the slots from begin(s) / 64 + s on. With b = begin(s) and e = begin(s + 1) there are
/// e / 64 - b / 64 + 1 of them (rounded down each), and that is at least the (e - b) / 64, rounded up, that it needs.
/// No list of tiles is made or sent. T / 64 + S slots are enough. A whole warp must call. @returns false for a slot
/// without rows
__device__ __forceinline__ bool find_share(const Sides& sides, std::int64_t slot, Share& share) {
  const auto first_slot_of = [&](std::int64_t s) { return sides.own_begin[s] / kTile + s; };
  const std::int64_t s = last_not_above(first_slot_of, sides.sequences, slot);
  const std::int64_t end = sides.own_begin[s + 1];
  share.begin = sides.own_begin[s] + (slot - first_slot_of(s)) * kTile;
  if (share.begin >= end) return false;
  share.rows = static_cast<int>(min(std::int64_t{kTile}, end - share.begin));
  share.other_begin = sides.other_begin[s];
  share.other_end = sides.other_begin[s + 1];
  return true;
}

}  // namespace strandline::cuda
