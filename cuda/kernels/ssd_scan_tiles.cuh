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
/// of the tile, in units of log 2, is a pair high + low of floats: A_q - A_s then has an error relative to itself, not
/// to A_q.
struct ScanSteps {
  float* delta;
  float* slope;  ///< d delta / d dt; only for the gradient
  float* high;
  float* low;
  float* total;  ///< [tile][head]: 2 to the last A
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
    constexpr float kLog2 = 0.693147181F;
    const float decay = exp2f(high[q]);
    return fmaf(decay, low[q] * kLog2, decay);
  }
  /// The decay from s to q, s <= q.
  __device__ __forceinline__ float between(int s, int q) const {
    return exp2f((high[q] - high[s]) + (low[q] - low[s]));
  }
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

/// The work of a block, in order: every slice of P of every head of its range.
struct HeadSlices {
  HeadRange range;
  int width;
  int slice;

  __device__ int per_head() const { return (width + slice - 1) / slice; }
  __device__ int count() const { return (range.end - range.begin) * per_head(); }
  __device__ int head(int item) const { return range.begin + item / per_head(); }
  __device__ int first_column(int item) const { return item % per_head() * slice; }
  __device__ int columns(int item) const { return min(slice, width - first_column(item)); }
  __device__ bool begins_head(int item) const { return item < count() && item % per_head() == 0; }
  /// Which of two buffers belongs to the item's head.
  __device__ int side(int item) const { return item / per_head() % 2; }
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
        pack = load_pack<kVector>(from.at(tile.token(row), item) + columns.begin + column);
        if (factors != nullptr) {
#pragma unroll
          for (T& value : pack.item) value = scaled(value, factors[row]);
        }
      } else {
#pragma unroll
        for (T& value : pack.item) value = zero;
      }
      store_pack(pack, to.row(row) + column);
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

inline constexpr int kRowLanes = 8;  ///< that share a row of a matrix of tokens by tokens

/// Into an operand, whose rows are aligned for tensor cores but not in fp32.
template <int kCount, class T>
__device__ __forceinline__ void store_row_part(const Pack<T, kCount>& pack, T* to) {
  if constexpr (sizeof(T) == 2) {
    store_pack(pack, to);
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) to[i] = pack.item[i];
  }
}

/// Rows [first_row, ...) of a head's state (P, N).
struct StateSlice {
  const float* cells;  ///< of the head: P x N
  int width;
  int states;
  int first_row;

  __device__ __forceinline__ const float* row(int index) const {
    return cells + static_cast<std::int64_t>(first_row + index) * states;
  }
  __device__ __forceinline__ bool has(int index) const { return first_row + index < width; }
};

/// The slice into shared memory, rounded to the operand type; `visit(row, n, values)` sees the numbers before that,
/// four at a time where N allows it, else one.
template <int kThreads, class T, class Sizes, class Visit>
__device__ void load_state(const StateSlice& slice, const Tile<T>& to, const Sizes& sizes, const Visit& visit) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool vector = sizeof(T) == 2 && slice.states % 4 == 0;
  for (int row = static_cast<int>(threadIdx.x) / kWarp; row < sizes.slice; row += kThreads / kWarp) {
    const float* source = slice.row(row);
    if (vector) {
      for (int n = 4 * lane; n < sizes.states; n += 4 * kWarp) {
        Pack<float, 4> value{};
        if (slice.has(row) && n < slice.states) {
          value = load_pack<4>(source + n);
          visit(row, n, value);
        }
        Pack<T, 4> rounded;
#pragma unroll
        for (int i = 0; i < 4; ++i) rounded.item[i] = from_float<T>(value.item[i]);
        store_pack(rounded, to.row(row) + n);
      }
      continue;
    }
    for (int n = lane; n < sizes.states; n += kWarp) {
      Pack<float, 1> value{};
      if (slice.has(row) && n < slice.states) {
        value.item[0] = source[n];
        visit(row, n, value);
      }
      to.row(row)[n] = from_float<T>(value.item[0]);
    }
  }
}

template <class Sizes>
inline constexpr bool kSizesAreFixed = !std::is_same_v<Sizes, ScanTileSizes>;

/// A slice of a state on its way to shared memory: fetch() starts the loads, store() needs their numbers. With sizes
/// that the compiler knows they wait in registers, so that other work can stand between the two; else store() does
/// both.
template <int kThreads, class T, class Sizes>
class StateInFlight {
 public:
  __device__ void fetch(const StateSlice& slice) {
    slice_ = slice;
    if constexpr (kSizesAreFixed<Sizes>) {
      if (slice.states != Sizes::states) return;
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        const int row = row_of(i);
        value_[i] = slice.has(row) ? load_pack<4>(slice.row(row) + column_of(i)) : Pack<float, 4>{};
      }
    }
  }
  /// `visit(row, n, values)` sees the numbers before they are rounded, four at a time or one.
  template <class Visit>
  __device__ void store(const Tile<T>& to, const Sizes& sizes, const Visit& visit) const {
    if constexpr (kSizesAreFixed<Sizes>) {
      if (slice_.states == Sizes::states) {
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
          if (slice_.has(row_of(i))) visit(row_of(i), column_of(i), value_[i]);
          Pack<T, 4> rounded;
#pragma unroll
          for (int j = 0; j < 4; ++j) rounded.item[j] = from_float<T>(value_[i].item[j]);
          store_pack(rounded, to.row(row_of(i)) + column_of(i));
        }
        return;
      }
    }
    load_state<kThreads>(slice_, to, sizes, visit);
  }

 private:
  static constexpr int packs() {
    if constexpr (kSizesAreFixed<Sizes>) return Sizes::slice * Sizes::states / 4 / kThreads;
    return 1;
  }
  static constexpr int kCount = packs();
  static __device__ int row_of(int i) { return (static_cast<int>(threadIdx.x) + i * kThreads) / (Sizes::states / 4); }
  static __device__ int column_of(int i) {
    return (static_cast<int>(threadIdx.x) + i * kThreads) % (Sizes::states / 4) * 4;
  }

  StateSlice slice_{};
  Pack<float, 4> value_[kCount];
};

/// Rows of x or dy on their way to shared memory, likewise; a slice of P at a time.
template <int kThreads, class T, class Sizes>
class RowsInFlight {
 public:
  struct Source {
    ScanRows<const T> rows;
    int item;
    Columns columns;
  };

  __device__ void fetch(const Source& source, const ScanTile& tile) {
    source_ = source;
    if constexpr (kSizesAreFixed<Sizes>) {
      if (!whole()) return;
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        value_[i] = row_of(i) < tile.count ? load_pack<kPack8>(source.rows.at(tile.token(row_of(i)), source.item) +
                                                               source.columns.begin + column_of(i))
                                           : Pack<T, kPack8>{};
      }
    }
  }
  /// Rows are multiplied by their factors when there are any; those that do not exist are zeros.
  __device__ void store(const ScanTile& tile, const float* factors, const Tile<T>& to, const Sizes& sizes) const {
    if constexpr (kSizesAreFixed<Sizes>) {
      if (whole()) {
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
          Pack<T, kPack8> pack = value_[i];
          if (factors != nullptr && row_of(i) < tile.count) {
#pragma unroll
            for (T& value : pack.item) value = scaled(value, factors[row_of(i)]);
          }
          store_pack(pack, to.row(row_of(i)) + column_of(i));
        }
        return;
      }
    }
    load_rows<kThreads>(source_.rows, tile, source_.item, source_.columns, factors, to, sizes.tokens);
  }

 private:
  static constexpr int kPack8 = 8;
  static constexpr int packs() {
    if constexpr (kSizesAreFixed<Sizes>) return Sizes::tokens * Sizes::slice / kPack8 / kThreads;
    return 1;
  }
  static constexpr int kCount = packs();
  static __device__ int row_of(int i) {
    return (static_cast<int>(threadIdx.x) + i * kThreads) / (Sizes::slice / kPack8);
  }
  static __device__ int column_of(int i) {
    return (static_cast<int>(threadIdx.x) + i * kThreads) % (Sizes::slice / kPack8) * kPack8;
  }
  __device__ bool whole() const { return source_.rows.vector && source_.columns.count == Sizes::slice; }

  Source source_{};
  Pack<T, kPack8> value_[kCount];
};

}  // namespace strandline::cuda
