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
  float *high, *low, *delta, *from_start;

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
  }
};

template <class T, class Sizes>
__device__ void output_steps(const TileOutputArgs<T, Sizes>& args, const HeadRange& range, int head,
                             OutputTiles<T>& tiles) {
  const HeadSteps steps(args.steps, range.tile, head);
  for (int q = static_cast<int>(threadIdx.x); q < args.sizes.tokens; q += kOutputThreads) {
    tiles.high[q] = steps.high[q];
    tiles.low[q] = steps.low[q];
    tiles.delta[q] = steps.delta[q];
    tiles.from_start[q] = steps.from_start(q);
  }
}

/// weighted[q][s] = exp(A_q - A_s) delta_s (C_q . B_s) for s <= q, else 0: eight lanes share a row.
template <int kEach, class T, class Sizes>
__device__ void weight_scores(const Sizes& sizes, int count, OutputTiles<T>& tiles) {
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
__device__ void weight_scores(const Sizes& sizes, int count, OutputTiles<T>& tiles) {
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
  for (int q = static_cast<int>(threadIdx.x) / kWarp; q < tile.count; q += kOutputThreads / kWarp) {
    T* to = args.y.at(tile.token(q), head) + columns.begin;
    const auto value = [&](int p) { return from_float<T>(fmaf(d, to_float(tiles.x.row(q)[p]), tiles.sums.row(q)[p])); };
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    if (args.y.vector && columns.count % 2 == 0) {
      for (int p = 2 * lane; p < columns.count; p += 2 * kWarp)
        store_pack(Pack<T, 2>{{value(p), value(p + 1)}}, to + p);
    } else {
      for (int p = lane; p < columns.count; p += kWarp) to[p] = value(p);
    }
  }
}

/// y = exp(A_q) S C_q + weighted x + d x, by one block per (tile, part of a group).
template <class T, class Sizes>
__global__ void __launch_bounds__(kOutputThreads) tile_outputs(const __grid_constant__ TileOutputArgs<T, Sizes> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  OutputTiles<T> tiles(shared, args.sizes);
  const Sizes& sizes = args.sizes;
  const HeadRange range = args.parts.range(blockIdx.x);
  const ScanTile tile = args.tiles[range.tile];
  const Columns all_states{0, args.states, sizes.states};
  load_rows<kOutputThreads>(args.c, tile, range.group, all_states, nullptr, tiles.c, sizes.tokens);
  load_rows<kOutputThreads>(args.b, tile, range.group, all_states, nullptr, tiles.b, sizes.tokens);
  __syncthreads();
  tile_product<kOutputThreads, Lies::rows, Lies::columns>(tiles.c, tiles.b, tiles.scores,
                                                          {sizes.tokens, sizes.tokens, sizes.states, false});
  const bool from_state = tile.starts == 0 || args.has_initial;
  for (int head = range.begin; head < range.end; ++head) {
    output_steps(args, range, head, tiles);
    __syncthreads();
    weight_scores(sizes, tile.count, tiles);
    const float* state =
        args.state_whpn + (range.tile * args.steps.heads + head) * static_cast<std::int64_t>(args.width) * args.states;
    for (int p0 = 0; p0 < args.width; p0 += sizes.slice) {
      const Columns columns{p0, min(sizes.slice, args.width - p0), sizes.slice};
      load_rows<kOutputThreads>(args.x, tile, head, columns, nullptr, tiles.x, sizes.tokens);
      if (from_state) {
        load_state<kOutputThreads>(StateSlice{state, args.width, args.states, p0}, tiles.state, sizes,
                                   [](int, int, const auto&) {});
        __syncthreads();
        tile_product<kOutputThreads, Lies::rows, Lies::columns>(tiles.c, tiles.state, tiles.sums,
                                                                {sizes.tokens, sizes.slice, sizes.states, false});
      }
      __syncthreads();
      tile_product<kOutputThreads, Lies::rows, Lies::rows>(
          tiles.weighted, tiles.x, tiles.sums,
          {sizes.tokens, sizes.slice, sizes.tokens, from_state, Shape16::lower, tiles.from_start});
      __syncthreads();
      write_output(args, tile, head, columns, tiles);
      __syncthreads();
    }
  }
}

}  // namespace strandline::cuda
