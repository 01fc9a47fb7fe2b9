// y of the scan, tile by tile, from the states that the tiles start from.
#pragma once

#include "cuda/kernels/ssd_scan_tiles.cuh"

namespace strandline::cuda {

inline constexpr int kOutputThreads = 256;

template <class T, class Sizes>
struct TileOutputArgs {
  const ScanTile* tiles;
  ScanSteps steps;
  ScanRows<const T> x;
  ScanRows<const T> b;
  ScanRows<const T> c;
  ScanRows<T> y;
  const float* d_h;  ///< may be absent
  HeadParts parts;
  Sizes sizes;
  int width;
  int states;
  const float* state_whpn;  ///< at the start of each tile
  bool has_initial;         ///< false: a sequence's first tile starts from zeros, which are not read
};

/// The matrices of a block, in shared memory.
template <class T>
struct OutputTiles {
  Tile<T> c, b, state, weighted, x;
  Tile<float> scores, sums;
  float *high, *low, *delta, *from_start;  // of one head; those of the next are a side further
  int side_stride;

  template <class Sizes>
  __device__ OutputTiles(unsigned char* shared, const Sizes& sizes) {
    const OutputShared at = output_shared(sizes);
    c = {reinterpret_cast<T*>(shared + at.c), operand_stride(sizes, sizes.states)};
    b = {reinterpret_cast<T*>(shared + at.b_then_state), operand_stride(sizes, sizes.states)};
    state = b;
    weighted = {reinterpret_cast<T*>(shared + at.weighted), operand_stride(sizes, sizes.tokens)};
    x = {reinterpret_cast<T*>(shared + at.x), operand_stride(sizes, sizes.slice)};
    scores = {reinterpret_cast<float*>(shared + at.scores), sum_stride(sizes.tokens)};
    sums = {reinterpret_cast<float*>(shared + at.sums), sum_stride(sizes.slice)};
    high = reinterpret_cast<float*>(shared + at.factors);
    low = high + sizes.tokens;
    delta = low + sizes.tokens;
    from_start = delta + sizes.tokens;
    side_stride = 4 * sizes.tokens;
  }
  /// The same matrices with the steps of the head whose side this is.
  __device__ OutputTiles at_side(int side) const {
    OutputTiles tiles = *this;
    for (float** vector : {&tiles.high, &tiles.low, &tiles.delta, &tiles.from_start}) *vector += side * side_stride;
    return tiles;
  }
};

template <class T, class Sizes>
__device__ void output_steps(const TileOutputArgs<T, Sizes>& args, std::int64_t index, int head,
                             const OutputTiles<T>& tiles) {
  const HeadSteps steps(args.steps, index, head);
  for (int q = static_cast<int>(threadIdx.x); q < args.sizes.tokens; q += kOutputThreads) {
    tiles.high[q] = steps.high[q];
    tiles.low[q] = steps.low[q];
    tiles.delta[q] = steps.delta[q];
    tiles.from_start[q] = steps.from_start(q);
  }
}

/// weighted[q][s] = exp(A_q - A_s) delta_s (C_q . B_s) for s <= q, else 0: eight lanes share a row.
template <int kEach, class T, class Sizes>
__device__ void weight_scores(const Sizes& sizes, int count, const OutputTiles<T>& tiles) {
  const int s0 = static_cast<int>(threadIdx.x) % kRowLanes * kEach;
  for (int q = static_cast<int>(threadIdx.x) / kRowLanes; q < sizes.tokens; q += kOutputThreads / kRowLanes) {
    const auto score = load_pack<kEach>(tiles.scores.row(q) + s0);
    const auto high = load_pack<kEach>(tiles.high + s0);
    const auto low = load_pack<kEach>(tiles.low + s0);
    const auto delta = load_pack<kEach>(tiles.delta + s0);
    Pack<T, kEach> weighted;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const float decay = exp2f((tiles.high[q] - high.item[i]) + (tiles.low[q] - low.item[i]));
      const bool exists = s0 + i <= q && q < count;
      weighted.item[i] = from_float<T>(exists ? decay * delta.item[i] * score.item[i] : 0.0F);
    }
    store_row_part(weighted, tiles.weighted.row(q) + s0);
  }
}

template <class T, class Sizes>
__device__ void weight_scores(const Sizes& sizes, int count, const OutputTiles<T>& tiles) {
  switch (sizes.tokens) {
    case 64: return weight_scores<8>(sizes, count, tiles);
    case 32: return weight_scores<4>(sizes, count, tiles);
    default: return weight_scores<2>(sizes, count, tiles);
  }
}

template <class T, class Sizes>
__device__ void write_output(const TileOutputArgs<T, Sizes>& args, const ScanTile& tile, int head,
                             const Columns& columns, const OutputTiles<T>& tiles) {
  const float d = args.d_h != nullptr ? args.d_h[head] : 0.0F;
  const int part = static_cast<int>(threadIdx.x) % kRowLanes;
  const bool pairs = args.y.vector && columns.count % 2 == 0;
  for (int q = static_cast<int>(threadIdx.x) / kRowLanes; q < tile.count; q += kOutputThreads / kRowLanes) {
    T* to = args.y.at(tile.token(q), head) + columns.begin;
    const auto value = [&](int p) { return from_float<T>(fmaf(d, to_float(tiles.x.row(q)[p]), tiles.sums.row(q)[p])); };
    if (pairs) {
#pragma unroll 4
      for (int p = 2 * part; p < columns.count; p += 2 * kRowLanes) {
        store_pack(Pack<T, 2>{{value(p), value(p + 1)}}, to + p);
      }
    } else {
      for (int p = part; p < columns.count; p += kRowLanes) to[p] = value(p);
    }
  }
}

/// y = exp(A_q) S C_q + weighted x + d x, by one block per (tile, part of a group).
template <class T, class Sizes>
__global__ void __launch_bounds__(kOutputThreads) tile_outputs(const __grid_constant__ TileOutputArgs<T, Sizes> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  OutputTiles<T> tiles(shared, args.sizes);
  const Sizes& sizes = args.sizes;
  const HeadSlices work{args.parts.range(blockIdx.x), args.width, sizes.slice};
  const std::int64_t index = work.range.tile;
  const ScanTile tile = args.tiles[index];
  const bool from_state = tile.starts == 0 || args.has_initial;
  RowsInFlight<kOutputThreads, T, Sizes> x_in_flight;
  StateInFlight<kOutputThreads, T, Sizes> state_in_flight;
  const auto columns_of = [&](int item) { return Columns{work.first_column(item), work.columns(item), sizes.slice}; };
  const auto fetch = [&](int item) {
    x_in_flight.fetch({args.x, work.head(item), columns_of(item)}, tile);
    if (!from_state) return;
    const float* state = args.state_whpn + (index * args.steps.heads + work.head(item)) *
                                               static_cast<std::int64_t>(args.width) * args.states;
    state_in_flight.fetch({state, args.width, args.states, work.first_column(item)});
  };
  if (work.count() == 0) return;
  fetch(0);
  const Columns all_states{0, args.states, sizes.states};
  load_rows<kOutputThreads>(args.c, tile, work.range.group, all_states, nullptr, tiles.c, sizes.tokens);
  load_rows<kOutputThreads>(args.b, tile, work.range.group, all_states, nullptr, tiles.b, sizes.tokens);
  output_steps(args, index, work.head(0), tiles.at_side(0));
  __syncthreads();
  tile_product<kOutputThreads, Lies::rows, Lies::columns>(tiles.c, tiles.b, tiles.scores,
                                                          {sizes.tokens, sizes.tokens, sizes.states, false});
  for (int item = 0; item < work.count(); ++item) {
    const OutputTiles<T> own = tiles.at_side(work.side(item));
    __syncthreads();
    x_in_flight.store(tile, nullptr, own.x, sizes);
    if (from_state) state_in_flight.store(own.state, sizes, [](int, int, const auto&) {});
    __syncthreads();
    if (item + 1 < work.count()) fetch(item + 1);
    if (from_state) {
      tile_product<kOutputThreads, Lies::rows, Lies::columns>(own.c, own.state, own.sums,
                                                              {sizes.tokens, sizes.slice, sizes.states, false});
    }
    if (work.begins_head(item)) weight_scores(sizes, tile.count, own);
    __syncthreads();
    tile_product<kOutputThreads, Lies::rows, Lies::rows>(
        own.weighted, own.x, own.sums,
        {sizes.tokens, sizes.slice, sizes.tokens, from_state, Shape16::lower, own.from_start});
    if (work.begins_head(item + 1)) output_steps(args, index, work.head(item + 1), tiles.at_side(work.side(item + 1)));
    __syncthreads();
    write_output(args, tile, work.head(item), columns_of(item), own);
  }
}

}  // namespace strandline::cuda
