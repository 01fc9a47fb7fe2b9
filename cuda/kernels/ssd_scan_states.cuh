// The states at the ends of tiles: steps and decays, each tile's own share of the state, and the ordered walk that
// turns shares into states. Forward and, with C and dy in the places of B and x, for the gradient that comes from
// behind.
#pragma once

#include "cuda/kernels/ssd_scan_tiles.cuh"

namespace strandline::cuda {

inline constexpr int kStateThreads = 256;
inline constexpr int kStepThreads = 256;
inline constexpr int kChainThreads = 256;

struct TileSource {
  const std::int64_t* seq_begin;
  const std::int64_t* tile_offsets;  ///< S + 1: tiles before each sequence
  std::int64_t sequences;
  TileGrid grid;
  bool reverse;
};

/// The sequence that tile number `tile` of the pack belongs to: the last one whose tiles begin at or before it.
__device__ inline std::int64_t sequence_of_tile(const TileSource& source, std::int64_t tile) {
  std::int64_t low = 0;
  std::int64_t high = source.sequences;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (source.tile_offsets[middle] <= tile ? low : high) = middle;
  }
  return low;
}

static __global__ void describe_tiles(TileSource source, std::int64_t first_tile, std::int64_t count, ScanTile* tiles) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= count) return;
  const std::int64_t sequence = sequence_of_tile(source, first_tile + index);
  const std::int64_t in_sequence = first_tile + index - source.tile_offsets[sequence];
  const std::int64_t begin = source.seq_begin[sequence];
  const std::int64_t end = source.seq_begin[sequence + 1];
  const std::int64_t place = source.grid.place(in_sequence);
  ScanTile tile{};
  tile.first_token = source.reverse ? end - 1 - place : begin + place;
  tile.sequence = sequence;
  tile.direction = source.reverse ? -1 : 1;
  tile.count = static_cast<int>(source.grid.tokens_of(in_sequence, end - begin));
  tile.starts = in_sequence == 0 ? 1 : 0;
  tile.ends = place + tile.count == end - begin ? 1 : 0;
  tiles[index] = tile;
}

/// How dt becomes delta, in fp32.
struct StepRule {
  const float* a_log_h;
  const float* dt_bias_h;  ///< may be absent
  bool softplus;
  float min;
  float max;
};

/// In fp32 back ends the step is computed in double and rounded once: an error of delta or a is multiplied by A in
/// every decay. bf16 has rounded dt already, and stays in float.
template <class T>
using StepNumber = std::conditional_t<std::is_same_v<T, float>, double, float>;

template <class Number>
struct StepValue {
  Number delta;
  Number slope;
};

template <class Number>
__device__ __forceinline__ StepValue<Number> step_value(const StepRule& rule, Number raw) {
  StepValue<Number> value{raw, Number(1)};
  if (rule.softplus) {
    // log(1 + e^raw) without overflow for large raw and without losing e^raw beside 1 for very negative raw.
    const Number small = exp(-fabs(raw));
    value.delta = (raw < Number(0) ? Number(0) : raw) + log1p(small);  // NaN stays
    value.slope = (raw >= Number(0) ? Number(1) : small) / (Number(1) + small);
  }
  if (value.delta < static_cast<Number>(rule.min)) value = {static_cast<Number>(rule.min), Number(0)};
  if (value.delta > static_cast<Number>(rule.max)) value = {static_cast<Number>(rule.max), Number(0)};
  return value;
}

/// delta a in units of log 2. A decay of 2^-288 is zero in fp32; without the bound A could become minus infinity, and a
/// difference of two such sums is not a number.
__device__ __forceinline__ double log2_decay(double delta, double a) {
  constexpr double kPerLog2 = 1.4426950408889634;
  const double product = delta * a * kPerLog2;
  return product < -288.0 ? -288.0 : product;
}

/// One block per tile; a warp takes a head at a time, a lane two neighbouring tokens.
template <class T>
__global__ void __launch_bounds__(kStepThreads)
    tile_steps(const ScanTile* tiles, ScanRows<const T> dt, StepRule rule, ScanSteps steps) {
  const std::int64_t index = blockIdx.x;
  const ScanTile tile = tiles[index];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int head = static_cast<int>(threadIdx.x) / kWarp; head < steps.heads; head += kStepThreads / kWarp) {
    using Number = StepNumber<T>;
    const double a = -exp(static_cast<double>(rule.a_log_h[head]));
    const float bias = rule.dt_bias_h != nullptr ? rule.dt_bias_h[head] : 0.0F;
    StepValue<Number> value[2]{};
    double sum[2]{};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int q = 2 * lane + i;
      if (q >= tile.count) continue;
      const Number raw = static_cast<Number>(to_float(*dt.at(tile.token(q), head))) + static_cast<Number>(bias);
      value[i] = step_value<Number>(rule, raw);
      sum[i] = log2_decay(static_cast<double>(value[i].delta), a);
    }
    double before = sum[0] + sum[1];  // becomes the sum of the lanes up to this one, then of those before it
    for (int step = 1; step < kWarp; step *= 2) {
      const double other = __shfl_up_sync(0xffffffffU, before, step);
      if (lane >= step) before += other;
    }
    before = __shfl_up_sync(0xffffffffU, before, 1);
    if (lane == 0) before = 0.0;
    const std::int64_t offset = steps.offset(index, head);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int q = 2 * lane + i;
      before += sum[i];
      if (q >= steps.tokens) continue;
      const float high = static_cast<float>(before);
      steps.delta[offset + q] = static_cast<float>(value[i].delta);
      steps.high[offset + q] = high;
      steps.low[offset + q] = static_cast<float>(before - static_cast<double>(high));
      if (steps.slope != nullptr) steps.slope[offset + q] = static_cast<float>(value[i].slope);
      if (q == tile.count - 1) steps.total[index * steps.heads + head] = static_cast<float>(exp2(before));
    }
  }
}

template <class T, class Sizes>
struct TileStateArgs {
  const ScanTile* tiles;
  ScanSteps steps;
  ScanRows<const T> x;  ///< (T, H, P): x, or dy
  ScanRows<const T> b;  ///< (T, G, N): B, or C
  HeadParts parts;
  Sizes sizes;
  int width;
  int states;
  /// false: share_s = exp(A_last - A_s) delta_s x_s (outer) B_s; true: exp(A_q) dy_q (outer) C_q.
  bool from_behind;
  float* state_whpn;  ///< [tile of the window][H][P][N]
};

template <class T, class Sizes>
__device__ void state_factors(const TileStateArgs<T, Sizes>& args, const ScanTile& tile, const HeadSteps& steps,
                              float* factors) {
  for (int q = static_cast<int>(threadIdx.x); q < args.sizes.tokens; q += kStateThreads) {
    float factor = 0.0F;
    if (q < tile.count) {
      factor = args.from_behind ? steps.from_start(q) : steps.between(q, tile.count - 1) * steps.delta[q];
    }
    factors[q] = factor;
  }
}

/// The rows of a slice to global memory; `to` has as many rows as there are.
template <int kThreads>
__device__ void store_share(const Tile<float>& sums, const StateSlice& to) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int row = static_cast<int>(threadIdx.x) / kWarp; row < to.width; row += kThreads / kWarp) {
    float* cells = const_cast<float*>(to.row(row));
    if (to.states % 4 == 0) {
      for (int n = 4 * lane; n < to.states; n += 4 * kWarp) store_pack(load_pack<4>(sums.row(row) + n), cells + n);
    } else {
      for (int n = lane; n < to.states; n += kWarp) cells[n] = sums.row(row)[n];
    }
  }
}

/// state[p][n] = sum over the tile's tokens of factor * x[p] * b[n], by one block per (tile, part of a group).
template <class T, class Sizes>
__global__ void __launch_bounds__(kStateThreads) tile_states(const __grid_constant__ TileStateArgs<T, Sizes> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  const StateShared at = state_shared(args.sizes);
  const int slice = args.sizes.slice;
  const Tile<T> b{reinterpret_cast<T*>(shared + at.b), operand_stride(args.sizes, args.sizes.states)};
  const Tile<T> x{reinterpret_cast<T*>(shared + at.x), operand_stride(args.sizes, slice)};
  const Tile<float> sums{reinterpret_cast<float*>(shared + at.sums), sum_stride(args.sizes.states)};
  float* factors = reinterpret_cast<float*>(shared + at.factors);
  const HeadSlices work{args.parts.range(blockIdx.x), args.width, slice};
  const std::int64_t index = work.range.tile;
  const ScanTile tile = args.tiles[index];
  RowsInFlight<kStateThreads, T, Sizes> x_in_flight;
  const auto fetch = [&](int item) {
    x_in_flight.fetch({args.x, work.head(item), {work.first_column(item), work.columns(item), slice}}, tile);
  };
  const auto prepare_head = [&](int item) {
    state_factors(args, tile, HeadSteps(args.steps, index, work.head(item)),
                  factors + work.side(item) * args.sizes.tokens);
  };
  if (work.count() == 0) return;
  fetch(0);
  load_rows<kStateThreads>(args.b, tile, work.range.group, {0, args.states, args.sizes.states}, nullptr, b,
                           args.sizes.tokens);
  prepare_head(0);
  for (int item = 0; item < work.count(); ++item) {
    __syncthreads();
    x_in_flight.store(tile, factors + work.side(item) * args.sizes.tokens, x, args.sizes);
    if (item + 1 < work.count()) fetch(item + 1);
    __syncthreads();
    tile_product<kStateThreads, Lies::columns, Lies::rows>(x, b, sums,
                                                           {slice, args.sizes.states, args.sizes.tokens, false});
    if (work.begins_head(item + 1)) prepare_head(item + 1);
    __syncthreads();
    float* state = args.state_whpn +
                   ((index * args.steps.heads + work.head(item)) * args.width + work.first_column(item)) * args.states;
    store_share<kStateThreads>(sums, {state, work.columns(item), args.states, 0});
  }
}

struct ChainArgs {
  TileSource source;
  std::int64_t first_tile;  ///< of the window
  std::int64_t tiles;
  std::int64_t first_sequence;  ///< the one that the first tile belongs to
  const float* total;           ///< [tile of the window][H]
  int heads;
  int cells;                ///< P N
  float* state_whpn;        ///< in: each tile's share; out: the state that the tile starts from
  const float* first_shpn;  ///< at the sequence's first tile in walking order; absent: zeros
  std::int64_t first_stride;
  const float* carry_in_hpn;  ///< instead, for the sequence that another window has begun
  float* last_shpn;           ///< after the sequence's last tile in walking order; absent: not wanted
  std::int64_t last_stride;
  float* carry_out_hpn;  ///< instead, for a sequence that goes on in another window; absent: not wanted
};

/// Tiles of a window for one element of the state, in walking order.
struct ChainWalk {
  float* state;           ///< of the next tile
  const float* total;     ///< of the next tile
  std::int64_t row_step;  ///< from tile to tile
  int total_step;
  float value;

  template <int kCount>
  __device__ __forceinline__ void load(float (&share)[kCount], float (&decay)[kCount]) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      share[i] = state[i * row_step];
      decay[i] = total[i * total_step];
    }
  }
  template <bool kStore, int kCount>
  __device__ __forceinline__ void walk(const float (&share)[kCount], const float (&decay)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (kStore) state[i * row_step] = value;
      value = fmaf(decay[i], value, share[i]);
    }
    state += kCount * row_step;
    total += kCount * total_step;
  }
};

/// state = total * state + share, tile by tile in order; a thread owns one element of one sequence's state.
/// kBackward: from the last tile to the first. kStore: each share gives way to the state that its tile starts from.
template <bool kBackward, bool kStore>
__global__ void __launch_bounds__(kChainThreads) chain_states(const __grid_constant__ ChainArgs args) {
  constexpr int kAhead = 8;  // loads in flight: the walk itself is one chain
  const std::int64_t row_cells = static_cast<std::int64_t>(args.heads) * args.cells;
  const std::int64_t blocks_per_row = (row_cells + kChainThreads - 1) / kChainThreads;
  const std::int64_t sequence = args.first_sequence + blockIdx.x / blocks_per_row;
  const std::int64_t cell = blockIdx.x % blocks_per_row * kChainThreads + threadIdx.x;
  if (cell >= row_cells) return;
  const int head = static_cast<int>(cell / args.cells);
  const std::int64_t own_begin = args.source.tile_offsets[sequence] - args.first_tile;
  const std::int64_t own_end = args.source.tile_offsets[sequence + 1] - args.first_tile;
  if (own_begin == own_end) return;  // no tiles: passed on elsewhere
  const std::int64_t begin = max(own_begin, std::int64_t{0});
  const std::int64_t end = min(own_end, args.tiles);
  const bool begun = kBackward ? end < own_end : begin > own_begin;
  const bool goes_on = kBackward ? begin > own_begin : end < own_end;
  const std::int64_t first = kBackward ? end - 1 : begin;
  ChainWalk at{args.state_whpn + first * row_cells + cell, args.total + first * args.heads + head,
               kBackward ? -row_cells : row_cells, kBackward ? -args.heads : args.heads, 0.0F};
  if (begun) {
    at.value = args.carry_in_hpn[cell];
  } else if (args.first_shpn != nullptr) {
    at.value = args.first_shpn[sequence * args.first_stride + cell];
  }
  std::int64_t left = end - begin;
  if (left >= kAhead) {
    // The loads of the next tiles are under way while these are walked: stores keep loads from moving up by themselves.
    float share[kAhead];
    float decay[kAhead];
    at.load(share, decay);
    for (; left >= 2 * kAhead; left -= kAhead) {
      float next_share[kAhead];
      float next_decay[kAhead];
      ChainWalk next = at;
      next.state += kAhead * at.row_step;
      next.total += kAhead * at.total_step;
      next.load(next_share, next_decay);
      at.template walk<kStore>(share, decay);
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        share[i] = next_share[i];
        decay[i] = next_decay[i];
      }
    }
    at.template walk<kStore>(share, decay);
    left -= kAhead;
  }
  for (; left > 0; --left) {
    float share[1];
    float decay[1];
    at.load(share, decay);
    at.template walk<kStore>(share, decay);
  }
  if (goes_on) {
    if (args.carry_out_hpn != nullptr) args.carry_out_hpn[cell] = at.value;
  } else if (args.last_shpn != nullptr) {
    args.last_shpn[sequence * args.last_stride + cell] = at.value;
  }
}

struct EmptyStates {
  const std::int64_t* seq_begin;
  std::int64_t first_sequence;
  std::int64_t cells;  ///< H P N
  const float* from;   ///< absent: zeros
  std::int64_t from_stride;
  float* to;
  std::int64_t to_stride;
};

/// Sequences without tokens hand their state on.
static __global__ void __launch_bounds__(kChainThreads) pass_empty_states(EmptyStates states) {
  const std::int64_t blocks_per_row = (states.cells + kChainThreads - 1) / kChainThreads;
  const std::int64_t sequence = states.first_sequence + blockIdx.x / blocks_per_row;
  const std::int64_t cell = blockIdx.x % blocks_per_row * kChainThreads + threadIdx.x;
  if (cell >= states.cells || states.seq_begin[sequence] != states.seq_begin[sequence + 1]) return;
  states.to[sequence * states.to_stride + cell] =
      states.from != nullptr ? states.from[sequence * states.from_stride + cell] : 0.0F;
}

}  // namespace strandline::cuda
