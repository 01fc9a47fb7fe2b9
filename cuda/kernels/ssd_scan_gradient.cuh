// Gradients of the scan inside one tile, given the state at its start and the gradient of the state at its end. The
// formulas are those of docs/kernels/ssd_scan.md; every sum stands as it is, nothing is added to be taken away again.
#pragma once

#include "cuda/kernels/ssd_scan_sums.cuh"
#include "cuda/kernels/ssd_scan_tiles.cuh"

namespace strandline::cuda {

inline constexpr int kGradientThreads = 512;
inline constexpr int kGradientWarps = kGradientThreads / kWarp;

template <class T, class Sizes>
struct TileGradientArgs {
  const ScanTile* tiles;
  ScanSteps steps;
  ScanRows<const T> x, b, c, dy;
  ScanRows<T> dx, ddt, db, dc;  ///< absent ones are not written
  const float* a_log_h;
  const float* d_h;  ///< may be absent
  int groups;
  int heads_per_group;
  Sizes sizes;
  int width;
  int states;
  const float* start_whpn;  ///< state at the start of each tile
  const float* dend_whpn;   ///< gradient of the state at its end
  bool has_initial;         ///< false: a sequence's first tile starts from zeros
  bool has_dfinal;          ///< false: nothing comes back to a sequence's last tile
  HeadSums* sums;           ///< [tile of the window][H]
};

/// The matrices of a block, in shared memory. `sums` serves products over tokens, over P and over N in turn.
template <class T>
struct GradientTiles {
  Tile<T> c, b, x, dy, weighted, state;
  Tile<float> scores, dscores, dc, db;
  float* sums;
  float *high, *low, *delta, *slope, *from_start, *to_end;
  float *from_state, *to_state, *x_dot_u, *crossing, *diagonal, *scratch;

  template <class Sizes>
  __device__ GradientTiles(unsigned char* shared, const Sizes& sizes) {
    const GradientShared at = gradient_shared(sizes);
    const int over_tokens = sum_stride(sizes.tokens);
    const int over_states = sum_stride(sizes.states);
    c = {reinterpret_cast<T*>(shared + at.c), operand_stride(sizes, sizes.states)};
    b = {reinterpret_cast<T*>(shared + at.b), operand_stride(sizes, sizes.states)};
    x = {reinterpret_cast<T*>(shared + at.x), operand_stride(sizes, sizes.slice)};
    dy = {reinterpret_cast<T*>(shared + at.dy), operand_stride(sizes, sizes.slice)};
    weighted = {reinterpret_cast<T*>(shared + at.weighted), operand_stride(sizes, sizes.tokens)};
    state = {reinterpret_cast<T*>(shared + at.state), operand_stride(sizes, sizes.states)};
    scores = {reinterpret_cast<float*>(shared + at.scores), over_tokens};
    dscores = {reinterpret_cast<float*>(shared + at.dscores), over_tokens};
    dc = {reinterpret_cast<float*>(shared + at.dc), over_states};
    db = {reinterpret_cast<float*>(shared + at.db), over_states};
    sums = reinterpret_cast<float*>(shared + at.sums);
    float* next = reinterpret_cast<float*>(shared + at.vectors);
    for (float** vector : {&high, &low, &delta, &slope, &from_start, &to_end, &from_state, &to_state, &x_dot_u,
                           &crossing, &diagonal, &scratch}) {
      *vector = next;
      next += sizes.tokens;
    }
  }
  __device__ Tile<float> sums_over(int columns) const { return {sums, sum_stride(columns)}; }
};

/// The work of one block: one (tile, group).
template <class T, class Sizes>
struct TileGradient {
  const TileGradientArgs<T, Sizes>& args;
  const Sizes& sizes;
  GradientTiles<T> at;
  ScanTile tile;
  std::int64_t index;  ///< of the tile in its window
  int group;
  int head = 0;
  bool from_start_state;
  bool to_end_state;
  int warp = static_cast<int>(threadIdx.x) / kWarp;
  int lane = static_cast<int>(threadIdx.x) % kWarp;
  RowsInFlight<kGradientThreads, T, Sizes> x_in_flight{};
  RowsInFlight<kGradientThreads, T, Sizes> dy_in_flight{};
  StateInFlight<kGradientThreads, T, Sizes> state_in_flight{};

  /// In fp32 back ends the sums over a tile's steps run in double, as the steps themselves do.
  using Number = std::conditional_t<std::is_same_v<T, float>, double, float>;

  __device__ TileGradient(const TileGradientArgs<T, Sizes>& arguments, unsigned char* shared)
      : args(arguments),
        sizes(arguments.sizes),
        at(shared, arguments.sizes),
        tile(arguments.tiles[blockIdx.x / arguments.groups]),
        index(blockIdx.x / arguments.groups),
        group(static_cast<int>(blockIdx.x % arguments.groups)),
        from_start_state(tile.starts == 0 || arguments.has_initial),
        to_end_state(tile.ends == 0 || arguments.has_dfinal) {}

  __device__ std::int64_t cells_offset() const {
    return (index * args.steps.heads + head) * static_cast<std::int64_t>(args.width) * args.states;
  }
  __device__ Columns columns_at(int p0) const { return {p0, min(sizes.slice, args.width - p0), sizes.slice}; }

  __device__ void prepare_group() {
    const Columns all_states{0, args.states, sizes.states};
    load_rows<kGradientThreads>(args.c, tile, group, all_states, nullptr, at.c, sizes.tokens);
    load_rows<kGradientThreads>(args.b, tile, group, all_states, nullptr, at.b, sizes.tokens);
    for (int q = warp; q < sizes.tokens; q += kGradientWarps) {
      for (int s = lane; s < sizes.tokens; s += kWarp) at.dscores.row(q)[s] = 0.0F;
      for (int n = lane; n < sizes.states; n += kWarp) at.dc.row(q)[n] = at.db.row(q)[n] = 0.0F;
    }
    __syncthreads();
    tile_product<kGradientThreads, Lies::rows, Lies::columns>(at.c, at.b, at.scores,
                                                              {sizes.tokens, sizes.tokens, sizes.states, false});
  }

  __device__ void prepare_head() {
    const HeadSteps steps(args.steps, index, head);
    const float* slope = args.steps.slope + args.steps.offset(index, head);
    for (int q = static_cast<int>(threadIdx.x); q < sizes.tokens; q += kGradientThreads) {
      at.high[q] = steps.high[q];
      at.low[q] = steps.low[q];
      at.delta[q] = steps.delta[q];
      at.slope[q] = slope[q];
      at.from_start[q] = steps.from_start(q);
      at.to_end[q] = q < tile.count ? steps.between(q, tile.count - 1) : 0.0F;
      at.from_state[q] = at.to_state[q] = at.x_dot_u[q] = 0.0F;
    }
  }

  __device__ bool is_one_slice() const { return args.width <= sizes.slice; }

  __device__ void fetch_rows(int of_head) {
    x_in_flight.fetch({args.x, of_head, columns_at(0)}, tile);
    dy_in_flight.fetch({args.dy, of_head, columns_at(0)}, tile);
  }
  __device__ void fetch_start(int p0) {
    if (from_start_state) state_in_flight.fetch({args.start_whpn + cells_offset(), args.width, args.states, p0});
  }
  __device__ void fetch_end(int p0) {
    if (to_end_state) state_in_flight.fetch({args.dend_whpn + cells_offset(), args.width, args.states, p0});
  }

  __device__ void load_slice(int p0) {
    load_rows<kGradientThreads>(args.x, tile, head, columns_at(p0), nullptr, at.x, sizes.tokens);
    load_rows<kGradientThreads>(args.dy, tile, head, columns_at(p0), nullptr, at.dy, sizes.tokens);
  }

  /// sums[q][s] = dy_q . x_s, over this slice of P and those before it.
  __device__ void pair_products(bool accumulate) {
    tile_product<kGradientThreads, Lies::rows, Lies::columns>(at.dy, at.x, at.sums_over(sizes.tokens),
                                                              {sizes.tokens, sizes.tokens, sizes.slice, accumulate});
    __syncthreads();
  }

  __device__ void pair_products_by_slices() {
    for (int p0 = 0; p0 < args.width; p0 += sizes.slice) {
      load_slice(p0);
      __syncthreads();
      pair_products(p0 > 0);
    }
  }

  /// Gradient of the scores, the decayed scores as an operand, and in place of the products what each pair passes
  /// through the decays between its tokens, summed over all earlier s: pairs[q][t] = sum over s < t. Eight lanes share
  /// a row.
  template <int kEach>
  __device__ void pair_rows(const Tile<float>& pairs) {
    const int part = lane % kRowLanes;
    const int s0 = part * kEach;
    for (int q = static_cast<int>(threadIdx.x) / kRowLanes; q < sizes.tokens; q += kGradientThreads / kRowLanes) {
      auto product = load_pack<kEach>(pairs.row(q) + s0);
      auto dscore = load_pack<kEach>(at.dscores.row(q) + s0);
      const auto score = load_pack<kEach>(at.scores.row(q) + s0);
      const auto high = load_pack<kEach>(at.high + s0);
      const auto low = load_pack<kEach>(at.low + s0);
      const auto delta = load_pack<kEach>(at.delta + s0);
      Pack<T, kEach> weight;
      float sum = 0.0F;  // of the pairs before this one
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const bool exists = s0 + i <= q && q < tile.count;
        if (s0 + i == q) at.diagonal[q] = product.item[i];
        const float decay = exp2f((at.high[q] - high.item[i]) + (at.low[q] - low.item[i]));
        const float gradient = exists ? decay * delta.item[i] * product.item[i] : 0.0F;
        weight.item[i] = from_float<T>(exists ? decay * score.item[i] : 0.0F);
        dscore.item[i] += gradient;
        product.item[i] = sum;
        sum += exists ? gradient * score.item[i] : 0.0F;
      }
      for (int step = 1; step < kRowLanes; step *= 2) {
        const float other = __shfl_up_sync(0xffffffffU, sum, step, kRowLanes);
        if (part >= step) sum += other;
      }
      float before = __shfl_up_sync(0xffffffffU, sum, 1, kRowLanes);
      if (part == 0) before = 0.0F;
#pragma unroll
      for (float& value : product.item) value += before;
      store_pack(product, pairs.row(q) + s0);
      store_pack(dscore, at.dscores.row(q) + s0);
      store_row_part(weight, at.weighted.row(q) + s0);
    }
  }

  __device__ void pair_gradients() {
    const Tile<float> pairs = at.sums_over(sizes.tokens);
    switch (sizes.tokens) {
      case 64: pair_rows<8>(pairs); break;
      case 32: pair_rows<4>(pairs); break;
      default: pair_rows<2>(pairs);
    }
    __syncthreads();
    crossing_sums(pairs);
  }

  /// crossing[t] = sum over q >= t of pairs[q][t]: eight lanes share a column.
  __device__ void crossing_sums(const Tile<float>& pairs) {
    for (int t = static_cast<int>(threadIdx.x) / kRowLanes; t < sizes.tokens; t += kGradientThreads / kRowLanes) {
      float sum = 0.0F;
      for (int q = lane % kRowLanes; q < tile.count; q += kRowLanes) {
        if (q >= t) sum += pairs.row(q)[t];
      }
      for (int step = kRowLanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, step);
      if (lane % kRowLanes == 0) at.crossing[t] = sum;
    }
    __syncthreads();
  }

  __device__ void start_slice() {
    if (!from_start_state) return;
    state_in_flight.store(at.state, sizes, [](int, int, const auto&) {});
    __syncthreads();
  }

  /// dc_q += exp(A_q) S dy_q; what the start state passes to y_q is C_q times that.
  __device__ void finish_start_slice() {
    const Tile<float> product = at.sums_over(sizes.states);
    tile_product<kGradientThreads, Lies::rows, Lies::rows>(at.dy, at.state, product,
                                                           {sizes.tokens, sizes.states, sizes.slice, false});
    __syncthreads();
    add_state_product(product, {at.from_start, nullptr, at.c, at.dc, at.from_state});
    __syncthreads();
  }

  struct StateProduct {
    const float* factor;
    const float* second_factor;  ///< may be absent
    Tile<T> against;
    Tile<float> to;
    float* dots;
  };

  /// to += factor * product; dots += the same times `against`, row by row: eight lanes share a row. Rows past the
  /// tile's end hold zeros.
  __device__ void add_state_product(const Tile<float>& product, const StateProduct& add) {
    const int part = lane % kRowLanes;
    for (int q = static_cast<int>(threadIdx.x) / kRowLanes; q < sizes.tokens; q += kGradientThreads / kRowLanes) {
      const float factor = add.second_factor != nullptr ? add.factor[q] * add.second_factor[q] : add.factor[q];
      float dot = 0.0F;
#pragma unroll 4
      for (int n = 4 * part; n < sizes.states; n += 4 * kRowLanes) {
        const auto value = load_pack<4>(product.row(q) + n);
        auto sum = load_pack<4>(add.to.row(q) + n);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float scaled_value = factor * value.item[i];
          sum.item[i] += scaled_value;
          dot = fmaf(scaled_value, to_float(add.against.row(q)[n + i]), dot);
        }
        store_pack(sum, add.to.row(q) + n);
      }
      dot = row_sum(dot);
      if (part == 0) add.dots[q] += dot;
    }
  }

  /// Over the eight lanes that share a row.
  static __device__ float row_sum(float value) {
    for (int step = kRowLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffU, value, step);
    return value;
  }

  /// db_s += exp(A_last - A_s) delta_s D x_s, and u_s = D B_s, still without its factor exp(A_last - A_s).
  /// @returns this thread's share of <S, D>
  __device__ float end_slice(int p0) {
    // S is read again, from the second-level cache: rounded to an operand it would cost da_log its bound.
    const StateSlice start{args.start_whpn + cells_offset(), args.width, args.states, p0};
    float through = 0.0F;
    state_in_flight.store(at.state, sizes, [&](int row, int n, const auto& values) {
      if (!from_start_state) return;
      constexpr int kCount = sizeof(values) / sizeof(float);
      const auto state = load_pack<kCount>(start.row(row) + n);
#pragma unroll
      for (int i = 0; i < kCount; ++i) through = fmaf(state.item[i], values.item[i], through);
    });
    __syncthreads();
    const Tile<float> product = at.sums_over(sizes.states);
    tile_product<kGradientThreads, Lies::rows, Lies::rows>(at.x, at.state, product,
                                                           {sizes.tokens, sizes.states, sizes.slice, false});
    __syncthreads();
    add_state_product(product, {at.to_end, at.delta, at.b, at.db, at.to_state});
    __syncthreads();
    const Tile<float> u = at.sums_over(sizes.slice);
    tile_product<kGradientThreads, Lies::rows, Lies::columns>(at.b, at.state, u,
                                                              {sizes.tokens, sizes.slice, sizes.states, false});
    __syncthreads();
    return through;
  }

  /// u_s += sum over q >= s of the decayed scores times dy_q; dx_s = delta_s u_s + d dy_s.
  __device__ void input_slice(int p0) {
    const Tile<float> u = at.sums_over(sizes.slice);
    tile_product<kGradientThreads, Lies::columns, Lies::rows>(
        at.weighted, at.dy, u, {sizes.tokens, sizes.slice, sizes.tokens, to_end_state, Shape16::upper, at.to_end});
    __syncthreads();
    const Columns columns = columns_at(p0);
    const float d = args.d_h != nullptr ? args.d_h[head] : 0.0F;
    const int part = lane % kRowLanes;
    const bool pairs = args.dx.vector && columns.count % 2 == 0;
    for (int s = static_cast<int>(threadIdx.x) / kRowLanes; s < sizes.tokens; s += kGradientThreads / kRowLanes) {
      const float delta = at.delta[s];
      T* to = args.dx && s < tile.count ? args.dx.at(tile.token(s), head) + p0 : nullptr;
      float dot = 0.0F;
      const auto gradient = [&](int p) {
        const float value = u.row(s)[p];
        dot = fmaf(to_float(at.x.row(s)[p]), value, dot);
        return from_float<T>(fmaf(d, to_float(at.dy.row(s)[p]), delta * value));
      };
      if (pairs) {
#pragma unroll 4
        for (int p = 2 * part; p < columns.count; p += 2 * kRowLanes) {
          const T first = gradient(p);
          const T second = gradient(p + 1);
          if (to != nullptr) store_pack(Pack<T, 2>{{first, second}}, to + p);
        }
      } else {
        for (int p = part; p < columns.count; p += kRowLanes) {
          const T value = gradient(p);
          if (to != nullptr) to[p] = value;
        }
      }
      dot = row_sum(dot);
      if (part == 0) at.x_dot_u[s] += dot;
    }
    __syncthreads();
  }

  /// Sums over the tile, a lane holding places 2 l and 2 l + 1: downwards from the last place up to and with
  /// each, or upwards over all before each.
  template <bool kDownwards>
  __device__ void running_sums(const float* values, Number (&sums)[2]) const {
    const Number first = 2 * lane < tile.count ? values[2 * lane] : 0.0F;
    const Number second = 2 * lane + 1 < tile.count ? values[2 * lane + 1] : 0.0F;
    Number upto = first + second;
    for (int step = 1; step < kWarp; step *= 2) {
      const Number other =
          kDownwards ? __shfl_down_sync(0xffffffffU, upto, step) : __shfl_up_sync(0xffffffffU, upto, step);
      if (kDownwards ? lane + step < kWarp : lane >= step) upto += other;
    }
    Number beside = kDownwards ? __shfl_down_sync(0xffffffffU, upto, 1) : __shfl_up_sync(0xffffffffU, upto, 1);
    if (lane == (kDownwards ? kWarp - 1 : 0)) beside = 0;
    sums[0] = kDownwards ? beside + second + first : beside;
    sums[1] = kDownwards ? beside + second : beside + first;
  }

  /// One warp: delta_t scales x_t, and delta_t a stands in every decay that crosses t.
  __device__ void step_gradients() {
    const Number a = -exp(static_cast<Number>(args.a_log_h[head]));
    Number from_state[2];
    Number to_state[2];
    running_sums<true>(at.from_state, from_state);
    running_sums<false>(at.to_state, to_state);
    const float through = warp_sum(lane < kGradientWarps ? at.scratch[lane] : 0.0F);
    const Number passing = static_cast<Number>(through) * args.steps.total[index * args.steps.heads + head];
    Number da_log = 0;
    Number ddt_bias = 0;
    Number dd = 0;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int t = 2 * lane + i;
      if (t >= tile.count) continue;
      const Number dlog = static_cast<Number>(at.crossing[t]) + from_state[i] + to_state[i] + passing;
      const Number ddt = (static_cast<Number>(at.x_dot_u[t]) + a * dlog) * static_cast<Number>(at.slope[t]);
      da_log += dlog * static_cast<Number>(at.delta[t]) * a;
      ddt_bias += ddt;
      dd += static_cast<Number>(at.diagonal[t]);
      if (args.ddt) *args.ddt.at(tile.token(t), head) = from_float<T>(static_cast<float>(ddt));
    }
    da_log = warp_sum(da_log);
    dd = warp_sum(dd);
    ddt_bias = warp_sum(ddt_bias);
    if (lane == 0) args.sums[index * args.steps.heads + head] = {da_log, dd, ddt_bias};
  }

  __device__ void run_head(int last_head) {
    prepare_head();
    float through = 0.0F;
    if (!is_one_slice()) {
      __syncthreads();
      pair_products_by_slices();
    } else {
      x_in_flight.store(tile, nullptr, at.x, sizes);
      dy_in_flight.store(tile, nullptr, at.dy, sizes);
      fetch_start(0);
      __syncthreads();
      pair_products(false);
    }
    pair_gradients();
    for (int p0 = 0; p0 < args.width; p0 += sizes.slice) {
      if (!is_one_slice()) {
        load_slice(p0);
        fetch_start(p0);
        __syncthreads();
      }
      start_slice();
      fetch_end(p0);
      if (from_start_state) finish_start_slice();
      if (to_end_state) through += end_slice(p0);
      if (is_one_slice() && head < last_head) fetch_rows(head + 1);
      input_slice(p0);
    }
    through = warp_sum(through);
    if (lane == 0) at.scratch[warp] = through;
    __syncthreads();
    if (warp == 0) step_gradients();
    __syncthreads();
  }

  __device__ void write_rows(const Tile<float>& from, const ScanRows<T>& to) const {
    if (!to) return;
    for (int q = warp; q < tile.count; q += kGradientWarps) {
      T* row = to.at(tile.token(q), group);
      for (int n = lane; n < args.states; n += kWarp) row[n] = from_float<T>(from.row(q)[n]);
    }
  }

  /// The pairs' share of dc and db goes through the summed gradient of the scores, once for all heads.
  __device__ void finish_group() {
    for (int q = warp; q < sizes.tokens; q += kGradientWarps) {
      for (int s = lane; s < sizes.tokens; s += kWarp) at.weighted.row(q)[s] = from_float<T>(at.dscores.row(q)[s]);
    }
    __syncthreads();
    tile_product<kGradientThreads, Lies::rows, Lies::rows>(
        at.weighted, at.b, at.dc, {sizes.tokens, sizes.states, sizes.tokens, true, Shape16::lower});
    tile_product<kGradientThreads, Lies::columns, Lies::rows>(
        at.weighted, at.c, at.db, {sizes.tokens, sizes.states, sizes.tokens, true, Shape16::upper});
    __syncthreads();
    write_rows(at.dc, args.dc);
    write_rows(at.db, args.db);
  }
};

template <class T, class Sizes>
__global__ void __launch_bounds__(kGradientThreads, 1)
    tile_gradients(const __grid_constant__ TileGradientArgs<T, Sizes> args) {
  extern __shared__ __align__(128) unsigned char shared[];
  TileGradient<T, Sizes> work(args, shared);
  const int first_head = work.group * args.heads_per_group;
  const int last_head = first_head + args.heads_per_group - 1;
  if (work.is_one_slice()) work.fetch_rows(first_head);
  work.prepare_group();
  __syncthreads();
  for (work.head = first_head; work.head <= last_head; ++work.head) work.run_head(last_head);
  work.finish_group();
}

}  // namespace strandline::cuda
