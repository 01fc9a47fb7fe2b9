#include "cuda/ops/grid_conv_cuda.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/element.cuh"
#include "cuda/base/reduce.cuh"

// A warp goes along the channels, so that neighbours are read and written together. Rows are read once for each tap,
// from the caches but for the first time: 2 T D K L operations against T D elements from memory.
namespace strandline::cuda {
namespace {

constexpr int kChannels = 64;  // of a block
constexpr int kLanes = 4;      // tokens of a block at one time
constexpr int kThreads = kChannels * kLanes;
constexpr int kEach = 8;  // tokens of a thread
constexpr int kSharedTaps = 128;
constexpr int kTogether = 8;  // taps whose gradients a thread sums at one time

/// Grid and taps. A tap (k, l) of token (r, c) is at (r + way * (k - rows / 2), c + way * (l - columns / 2)).
struct Grid {
  std::int64_t tokens;
  std::int64_t channels;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t channels_per_group;
  std::int64_t tap_rows;
  std::int64_t tap_columns;
  int way;  ///< 1: as the formula says; -1: the other way, for the gradient of x

  __host__ __device__ __forceinline__ std::int64_t taps() const { return tap_rows * tap_columns; }
};

/// Where a token is.
struct Spot {
  std::int64_t row;
  std::int64_t column;
};

__device__ __forceinline__ Spot spot_of(const Grid& grid, std::int64_t token) {
  return {token / grid.columns, token % grid.columns};
}

/// @returns the token that a tap reads, or -1 outside the grid
__device__ __forceinline__ std::int64_t neighbour(const Grid& grid, const Spot& spot, std::int64_t k, std::int64_t l) {
  const std::int64_t row = spot.row + grid.way * (k - grid.tap_rows / 2);
  const std::int64_t column = spot.column + grid.way * (l - grid.tap_columns / 2);
  const bool is_inside = row >= 0 && row < grid.rows && column >= 0 && column < grid.columns;
  return is_inside ? row * grid.columns + column : -1;
}

template <class In, class Out>
struct ConvArgs {
  Grid grid;
  Rows<const In> in;
  const float* weight;
  const float* bias;  ///< may be absent
  Rows<Out> out;
  bool accumulate;
};

struct TapRange {
  std::int64_t first;
  int count;
};

/// The weights of these taps for the channels of the block, tap by tap.
__device__ __forceinline__ void share_taps(const Grid& grid, const float* weight, const TapRange& taps,
                                           float (&shared)[kSharedTaps][kChannels]) {
  const std::int64_t channel_begin = blockIdx.y * std::int64_t{kChannels};
  for (int index = static_cast<int>(threadIdx.x); index < taps.count * kChannels; index += kThreads) {
    const int tap = index / kChannels;
    const int channel = index % kChannels;
    const std::int64_t d = channel_begin + channel;
    shared[tap][channel] =
        d < grid.channels ? weight[d / grid.channels_per_group * grid.taps() + taps.first + tap] : 0.0F;
  }
}

template <class In, class Out>
__global__ __launch_bounds__(kThreads) void grid_conv_kernel(const ConvArgs<In, Out> args) {
  __shared__ float weight[kSharedTaps][kChannels];
  const Grid& grid = args.grid;
  const int channel = static_cast<int>(threadIdx.x) % kChannels;
  const std::int64_t d = blockIdx.y * std::int64_t{kChannels} + channel;
  const std::int64_t token_begin = blockIdx.x * std::int64_t{kLanes * kEach} + threadIdx.x / kChannels;
  const bool has_channel = d < grid.channels;  // every thread stays for the barriers
  float sums[kEach];
  for (int n = 0; n < kEach; ++n) {
    const std::int64_t token = token_begin + n * kLanes;
    sums[n] = args.accumulate && has_channel && token < grid.tokens ? to_float(args.out.row(token)[d]) : 0.0F;
    if (args.bias != nullptr && has_channel) sums[n] += args.bias[d];
  }
  for (std::int64_t first = 0; first < grid.taps(); first += kSharedTaps) {
    const int count = static_cast<int>(grid.taps() - first < kSharedTaps ? grid.taps() - first : kSharedTaps);
    __syncthreads();
    share_taps(grid, args.weight, {first, count}, weight);
    __syncthreads();
    for (int n = 0; n < kEach; ++n) {
      const std::int64_t token = token_begin + n * kLanes;
      if (!has_channel || token >= grid.tokens) continue;
      const Spot spot = spot_of(grid, token);
      std::int64_t k = first / grid.tap_columns;
      std::int64_t l = first % grid.tap_columns;
      for (int tap = 0; tap < count; ++tap) {
        const std::int64_t from = neighbour(grid, spot, k, l);
        if (from >= 0) sums[n] = fmaf(weight[tap][channel], to_float(args.in.row(from)[d]), sums[n]);
        if (++l == grid.tap_columns) {
          l = 0;
          ++k;
        }
      }
    }
  }
  for (int n = 0; n < kEach; ++n) {
    const std::int64_t token = token_begin + n * kLanes;
    if (has_channel && token < grid.tokens) args.out.row(token)[d] = from_float<Out>(sums[n]);
  }
}

template <class In, class Out>
void launch_conv(Context& context, const ConvArgs<In, Out>& args, const char* name) {
  const dim3 blocks(checked_grid(ceil_div(args.grid.tokens, kLanes * kEach), name),
                    static_cast<unsigned>(ceil_div(args.grid.channels, kChannels)));
  grid_conv_kernel<<<blocks, kThreads, 0, context.stream()>>>(args);
  check_launch(name);
}

/// Sums over ranges of tokens: partial[range][tap][channel], where the tap after the last stands for the bias.
template <class X, class Dy>
struct SumArgs {
  Grid grid;
  Rows<const X> x;
  Rows<const Dy> dy;
  float* partial;
  std::int64_t range_tokens;
  std::int64_t first_tap;
  std::int64_t end_tap;
};

/// Moves a spot on by as many tokens as a block takes at one time.
__device__ __forceinline__ void move_on(const Grid& grid, Spot& spot) {
  spot.column += kLanes % grid.columns;
  spot.row += kLanes / grid.columns;
  if (spot.column >= grid.columns) {
    spot.column -= grid.columns;
    ++spot.row;
  }
}

/// The taps of a thread, and its channel.
struct TapRun {
  std::int64_t first;
  Spot start;  ///< of the first among the taps
  std::int64_t channel;
};

struct SpotGradient {
  Spot spot;
  float dy;
};

/// Adds what a token gives to the gradients of the taps.
template <class X, class Dy>
__device__ __forceinline__ void add_token(const SumArgs<X, Dy>& args, const TapRun& run, const SpotGradient& token,
                                          float (&sums)[kTogether]) {
  const Grid& grid = args.grid;
  std::int64_t k = run.start.row;
  std::int64_t l = run.start.column;
#pragma unroll
  for (int n = 0; n < kTogether; ++n) {
    const std::int64_t tap = run.first + n;
    if (tap == grid.taps()) {
      sums[n] += token.dy;
    } else if (tap < grid.taps()) {
      const std::int64_t from = neighbour(grid, token.spot, k, l);
      if (from >= 0) sums[n] = fmaf(to_float(args.x.row(from)[run.channel]), token.dy, sums[n]);
    }
    if (++l == grid.tap_columns) {
      l = 0;
      ++k;
    }
  }
}

template <class X, class Dy>
__global__ __launch_bounds__(kThreads) void grid_conv_sums_kernel(const SumArgs<X, Dy> args) {
  __shared__ float of_lanes[kLanes][kTogether][kChannels];
  const Grid& grid = args.grid;
  const int channel = static_cast<int>(threadIdx.x) % kChannels;
  const int lane = static_cast<int>(threadIdx.x) / kChannels;
  const std::int64_t d = blockIdx.y * std::int64_t{kChannels} + channel;
  const std::int64_t first = args.first_tap + blockIdx.z * std::int64_t{kTogether};
  const std::int64_t begin = blockIdx.x * args.range_tokens;
  const std::int64_t end = begin + args.range_tokens < grid.tokens ? begin + args.range_tokens : grid.tokens;
  float sums[kTogether]{};
  if (d < grid.channels && begin + lane < end) {
    const TapRun run{first, {first / grid.tap_columns, first % grid.tap_columns}, d};
    Spot spot = spot_of(grid, begin + lane);
    for (std::int64_t token = begin + lane; token < end; token += kLanes) {
      add_token(args, run, {spot, to_float(args.dy.row(token)[d])}, sums);
      move_on(grid, spot);
    }
  }
  for (int n = 0; n < kTogether; ++n) of_lanes[lane][n][channel] = sums[n];
  __syncthreads();
  if (d >= grid.channels) return;
  for (int n = lane; n < kTogether && first + n < args.end_tap; n += kLanes) {
    float sum = of_lanes[0][n][channel];
    for (int each = 1; each < kLanes; ++each) sum += of_lanes[each][n][channel];
    args.partial[(blockIdx.x * (args.end_tap - args.first_tap) + first + n - args.first_tap) * grid.channels + d] = sum;
  }
}

/// to[output] += the sum of its partial sums, in order. An output is a tap of a group, or the bias of a channel.
struct OrderedSums {
  const float* partial = nullptr;
  std::int64_t ranges = 0;
  std::int64_t taps_held = 0;  ///< in `partial`
  std::int64_t channels = 0;
  std::int64_t first_place = 0;  ///< of the first output's tap in `partial`
  std::int64_t taps = 1;         ///< of the outputs
  std::int64_t shared = 1;       ///< channels that one output sums over
  float* to = nullptr;
};

__global__ __launch_bounds__(kThreads) void grid_conv_finish_kernel(const OrderedSums args) {
  __shared__ double scratch[kThreads / kWarp];
  const std::int64_t output = blockIdx.x;
  const std::int64_t place = args.first_place + output % args.taps;
  const std::int64_t channel_begin = output / args.taps * args.shared;
  double sum = 0.0;
  for (std::int64_t index = threadIdx.x; index < args.ranges * args.shared; index += kThreads) {
    const std::int64_t range = index / args.shared;
    const std::int64_t d = channel_begin + index % args.shared;
    sum += static_cast<double>(args.partial[(range * args.taps_held + place) * args.channels + d]);
  }
  sum = block_sum<kThreads>(sum, scratch);
  if (threadIdx.x == 0) args.to[output] += static_cast<float>(sum);
}

template <class Args>
Grid grid_of(const Args& args, int way) {
  const Grid grid{.tokens = args.x_td.size(0),
                  .channels = args.x_td.size(1),
                  .rows = args.x_td.size(0) / args.columns,
                  .columns = args.columns,
                  .channels_per_group = args.x_td.size(1) / args.weight_gkl.size(0),
                  .tap_rows = args.weight_gkl.size(1),
                  .tap_columns = args.weight_gkl.size(2),
                  .way = way};
  constexpr std::int64_t kLargest = 65535;
  if (ceil_div(grid.channels, kChannels) > kLargest || ceil_div(grid.taps() + 1, kTogether) > kLargest) {
    throw ContractError("grid_conv: " + std::to_string(grid.channels) + " channels and " + std::to_string(grid.taps()) +
                        " taps do not fit in one launch (4,194,240 and 524,279 do). Use --device cpu");
  }
  return grid;
}

void finish(Context& context, const OrderedSums& sums, std::int64_t outputs) {
  grid_conv_finish_kernel<<<checked_grid(outputs, "grid_conv_backward: finish"), kThreads, 0, context.stream()>>>(sums);
  check_launch("grid_conv_backward: finish");
}

/// Few ranges, so that their sums stay small: at most 512, of 256 tokens or more.
void parameter_gradients(Context& context, const ops::GridConvBackwardArgs& args) {
  const Grid grid = grid_of(args, 1);
  const std::int64_t range_tokens = std::max<std::int64_t>(256, ceil_div(grid.tokens, 512));
  const std::int64_t ranges = ceil_div(grid.tokens, range_tokens);
  const std::int64_t first_tap = args.dweight_gkl ? 0 : grid.taps();
  const std::int64_t end_tap = args.dbias_d ? grid.taps() + 1 : grid.taps();
  const std::int64_t taps_held = end_tap - first_tap;
  const Workspace::Scope scope(context.scratch());
  float* partial = device_data<float>(context.scratch().take(DType::f32, {ranges, taps_held, grid.channels}));
  const dim3 blocks(static_cast<unsigned>(ranges), static_cast<unsigned>(ceil_div(grid.channels, kChannels)),
                    static_cast<unsigned>(ceil_div(taps_held, kTogether)));
  with_types(args.x_td.dtype(), args.dy_td.dtype(), [&](auto x, auto dy) {
    using X = decltype(x);
    using Dy = decltype(dy);
    const SumArgs<X, Dy> sums{.grid = grid,
                              .x = rows_of<X>(args.x_td),
                              .dy = rows_of<Dy>(args.dy_td),
                              .partial = partial,
                              .range_tokens = range_tokens,
                              .first_tap = first_tap,
                              .end_tap = end_tap};
    grid_conv_sums_kernel<<<blocks, kThreads, 0, context.stream()>>>(sums);
  });
  check_launch("grid_conv_backward: sums");
  OrderedSums sums;
  sums.partial = partial;
  sums.ranges = ranges;
  sums.taps_held = taps_held;
  sums.channels = grid.channels;
  if (args.dweight_gkl) {
    sums.taps = grid.taps();
    sums.shared = grid.channels_per_group;
    sums.to = device_data<float>(args.dweight_gkl);
    finish(context, sums, args.dweight_gkl.elements());
  }
  if (args.dbias_d) {
    sums.first_place = taps_held - 1;
    sums.taps = 1;
    sums.shared = 1;
    sums.to = device_data<float>(args.dbias_d);
    finish(context, sums, grid.channels);
  }
}

}  // namespace

void grid_conv(Context& context, const ops::GridConvArgs& args) {
  with_types(args.x_td.dtype(), args.y_td.dtype(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    launch_conv(context,
                ConvArgs<In, Out>{.grid = grid_of(args, 1),
                                  .in = rows_of<In>(args.x_td),
                                  .weight = device_data<float>(args.weight_gkl),
                                  .bias = args.bias_d ? device_data<float>(args.bias_d) : nullptr,
                                  .out = rows_of<Out>(args.y_td),
                                  .accumulate = args.accumulate},
                "grid_conv");
  });
}

void grid_conv_backward(Context& context, const ops::GridConvBackwardArgs& args) {
  if (args.dx_td) {
    with_types(args.dy_td.dtype(), args.dx_td.dtype(), [&](auto in, auto out) {
      using In = decltype(in);
      using Out = decltype(out);
      launch_conv(context,
                  ConvArgs<In, Out>{.grid = grid_of(args, -1),
                                    .in = rows_of<In>(args.dy_td),
                                    .weight = device_data<float>(args.weight_gkl),
                                    .bias = nullptr,
                                    .out = rows_of<Out>(args.dx_td),
                                    .accumulate = args.accumulate_dx},
                  "grid_conv_backward: dx");
    });
  }
  if (args.dweight_gkl || args.dbias_d) parameter_gradients(context, args);
}

}  // namespace strandline::cuda
