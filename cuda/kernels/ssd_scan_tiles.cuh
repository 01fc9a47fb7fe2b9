// What the kernels of the scan share: tiles of a pack, rows of its tensors, step sizes and decays.
#pragma once

#include "cuda/base/reduce.cuh"
#include "cuda/kernels/tile_product.cuh"
#include "cuda/plans/ssd_scan_plan.hpp"

namespace strandline::cuda {

/// Up to 64 neighbouring tokens of one sequence, in scan order.
struct ScanTile {
  std::int64_t first_token;
  std::int64_t sequence;
  int direction;  ///< +1, or -1 when reversed
  int count;      ///< 1 and more
  int starts;     ///< the first of its sequence
  int ends;       ///< the last

  __device__ __forceinline__ std::int64_t token(int place) const { return first_token + direction * place; }
};
static_assert(sizeof(ScanTile) == 32);

/// A tensor of rank 3 (T, items, columns) or 2 (T, items): the address of an item's columns.
template <class T>
struct ScanRows {
  T* data = nullptr;
  std::int64_t token_stride = 0;
  std::int64_t item_stride = 0;
  bool vector = false;  ///< 16-byte loads and stores are aligned at every token, item and eighth column

  __device__ __forceinline__ T* at(std::int64_t token, int item) const {
    return data + token * token_stride + item * item_stride;
  }
  __host__ __device__ explicit operator bool() const { return data != nullptr; }
};

/// Step sizes and decays of the tiles of a window: [tile][head][tokens]. A_q, the sum of delta * a over places 0 to q
/// of the tile, is a pair high + low of floats: A_q - A_s then has an error relative to itself, not to A_q.
struct ScanSteps {
  float* delta;
  float* slope;  ///< d delta / d dt; only for the gradient
  float* high;
  float* low;
  float* total;  ///< [tile][head]: exp of the last A
  int heads;
  int tokens;

  __device__ __forceinline__ std::int64_t offset(std::int64_t tile, int head) const {
    return (tile * heads + head) * tokens;
  }
};

/// A head's steps in one tile.
struct HeadSteps {
  const float* delta;
  const float* high;
  const float* low;

  __device__ HeadSteps(const ScanSteps& steps, std::int64_t tile, int head)
      : delta(steps.delta + steps.offset(tile, head)),
        high(steps.high + steps.offset(tile, head)),
        low(steps.low + steps.offset(tile, head)) {}
  __device__ __forceinline__ float from_start(int q) const {
    const float decay = expf(high[q]);
    return fmaf(decay, low[q], decay);
  }
  /// exp(A_q - A_s), s <= q.
  __device__ __forceinline__ float between(int s, int q) const { return expf((high[q] - high[s]) + (low[q] - low[s])); }
};

/// Which heads of which tile a block works on: blocks are (tile, group, part of the group's heads).
struct HeadRange {
  std::int64_t tile;
  int group;
  int begin;
  int end;
};

struct HeadParts {
  int groups;
  int heads_per_group;
  int parts;  ///< of a group

  __device__ HeadRange range(std::int64_t block) const {
    const int per_tile = groups * parts;
    const int item = static_cast<int>(block % per_tile);
    const int group = item / parts;
    const int part = item % parts;
    const int size = (heads_per_group + parts - 1) / parts;
    const int begin = group * heads_per_group + min(part * size, heads_per_group);
    const int end = group * heads_per_group + min((part + 1) * size, heads_per_group);
    return {block / per_tile, group, begin, end};
  }
};

/// Columns [begin, begin + count) of a row; the tile has `padded` of them.
struct Columns {
  int begin;
  int count;
  int padded;
};

template <class T>
__device__ __forceinline__ T scaled(T value, float factor) {
  return from_float<T>(to_float(value) * factor);
}

/// Rows of `from` at the tile's tokens into shared memory, each multiplied by its factor when there are any (a factor
/// of a row that does not exist is not read); zeros where nothing exists.
template <int kThreads, class T>
__device__ void load_rows(const ScanRows<const T>& from, const ScanTile& tile, int item, const Columns& columns,
                          const float* factors, const Tile<T>& to, int rows) {
  constexpr int kVector = 16 / static_cast<int>(sizeof(T));
  const T zero = from_float<T>(0.0F);
  if (sizeof(T) == 2 && from.vector && columns.count % kVector == 0) {
    const int packs = columns.padded / kVector;
    for (int index = static_cast<int>(threadIdx.x); index < rows * packs; index += kThreads) {
      const int row = index / packs;
      const int column = index % packs * kVector;
      Pack<T, kVector> pack;
      if (row < tile.count && column < columns.count) {
        pack = *reinterpret_cast<const Pack<T, kVector>*>(from.at(tile.token(row), item) + columns.begin + column);
        if (factors != nullptr) {
#pragma unroll
          for (T& value : pack.item) value = scaled(value, factors[row]);
        }
      } else {
#pragma unroll
        for (T& value : pack.item) value = zero;
      }
      *reinterpret_cast<Pack<T, kVector>*>(to.row(row) + column) = pack;
    }
    return;
  }
  for (int row = static_cast<int>(threadIdx.x) / kWarp; row < rows; row += kThreads / kWarp) {
    const bool exists = row < tile.count;
    const T* source = exists ? from.at(tile.token(row), item) + columns.begin : nullptr;
    for (int column = static_cast<int>(threadIdx.x) % kWarp; column < columns.padded; column += kWarp) {
      T value = zero;
      if (exists && column < columns.count) {
        value = source[column];
        if (factors != nullptr) value = scaled(value, factors[row]);
      }
      to.row(row)[column] = value;
    }
  }
}

/// Rows [p0, p0 + rows) of a head's state (P, N), rounded to the operand type.
struct StateSlice {
  const float* cells;  ///< of the head: P x N
  int width;
  int states;
  int first_row;
};

template <int kThreads, class T>
__device__ void load_state(const StateSlice& slice, const Tile<T>& to, int rows, int padded_states) {
  if (sizeof(T) == 2 && slice.states % 4 == 0) {
    const int packs = padded_states / 4;
    for (int index = static_cast<int>(threadIdx.x); index < rows * packs; index += kThreads) {
      const int row = index / packs;
      const int n = index % packs * 4;
      const int p = slice.first_row + row;
      float4 value{0.0F, 0.0F, 0.0F, 0.0F};
      if (p < slice.width && n < slice.states) {
        value = *reinterpret_cast<const float4*>(slice.cells + static_cast<std::int64_t>(p) * slice.states + n);
      }
      *reinterpret_cast<Pack<T, 4>*>(to.row(row) + n) = {
          {from_float<T>(value.x), from_float<T>(value.y), from_float<T>(value.z), from_float<T>(value.w)}};
    }
    return;
  }
  for (int row = static_cast<int>(threadIdx.x) / kWarp; row < rows; row += kThreads / kWarp) {
    const int p = slice.first_row + row;
    const float* source = slice.cells + static_cast<std::int64_t>(p) * slice.states;
    for (int n = static_cast<int>(threadIdx.x) % kWarp; n < padded_states; n += kWarp) {
      to.row(row)[n] = from_float<T>(p < slice.width && n < slice.states ? source[n] : 0.0F);
    }
  }
}

}  // namespace strandline::cuda
