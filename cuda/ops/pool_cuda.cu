// Pooling by mean, last token and maximum. By attention: attention_pool_cuda.cu.
#include "cuda/ops/pool_cuda.hpp"

#include <array>

#include "cuda/kernels/pieces.cuh"
#include "cuda/kernels/sweep.cuh"

namespace strandline::cuda {
namespace {

struct Mean {
  using Number = double;
  RowTensor y;

  __device__ static double start() { return 0.0; }
  __device__ static float factor(std::int64_t, std::int64_t, bool) { return 1.0F; }
  __device__ static void add(double& sum, float x, std::int64_t, float) { sum += static_cast<double>(x); }
  __device__ static void join(double& sum, double later) { sum += later; }
  __device__ void finish(std::int64_t s, std::int64_t length, std::int64_t channel, double sum) const {
    const double mean = length > 0 ? sum / static_cast<double>(length) : 0.0;
    store_element(y, s * y.stride + channel, static_cast<float>(mean));
  }
};

/// Token -1: none yet.
struct Best {
  float value;
  std::int64_t token;
};

// Of equal values the first token; NaN counts as the largest.
__device__ __forceinline__ bool is_better(const Best& a, const Best& b) {
  if (a.token < 0 || b.token < 0) return b.token < 0 && a.token >= 0;
  const bool a_is_nan = isnan(a.value);
  const bool b_is_nan = isnan(b.value);
  if (a_is_nan != b_is_nan) return a_is_nan;
  if (!a_is_nan && a.value != b.value) return a.value > b.value;
  return a.token < b.token;
}

/// The largest goes to y (forward), or dy goes to its token (backward, `y` being dy).
struct Largest {
  using Number = Best;
  RowTensor y, dx;

  __device__ static Best start() { return {0.0F, -1}; }
  __device__ static float factor(std::int64_t, std::int64_t, bool) { return 1.0F; }
  __device__ static void add(Best& best, float x, std::int64_t token, float) { join(best, {x, token}); }
  __device__ static void join(Best& best, const Best& other) {
    if (is_better(other, best)) best = other;
  }
  __device__ void finish(std::int64_t s, std::int64_t length, std::int64_t channel, const Best& best) const {
    if (dx.data == nullptr) {
      store_element(y, s * y.stride + channel, length > 0 ? best.value : 0.0F);
    } else if (length > 0) {
      store_element(dx, best.token * dx.stride + channel, load_element(y, s * y.stride + channel));
    }
  }
};

struct Last {
  RowTensor x, y;
  Sequences sequences;

  __device__ void operator()(std::int64_t s, std::int64_t column, int count) const {
    const std::int64_t end = sequences.begin[s + 1];
    for (int i = 0; i < count; ++i) {
      const float value = sequences.begin[s] < end ? load_element(x, (end - 1) * x.stride + column + i) : 0.0F;
      store_element(y, s * y.stride + column + i, value);
    }
  }
};

/// dx of the mean: dy / length. Of the last token: dy there, zeros elsewhere.
template <class T>
struct SpreadGradient {
  Sequences sequences;
  RowTensor dy, dx;
  std::int64_t channels;
  bool is_mean;

  __device__ void operator()(std::int64_t s, std::int64_t t) const {
    const std::int64_t end = sequences.begin[s + 1];
    const auto length = static_cast<float>(end - sequences.begin[s]);
    for (std::int64_t column = threadIdx.x % kWarp * kPack; column < channels; column += kWarp * kPack) {
      const int count = pack_count(channels, column);
      const RawPack<T> from = load_pack<T>(dy, s * dy.stride + column, count);
      float value[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        value[i] = is_mean ? from.get(i) / length : (t == end - 1 ? from.get(i) : 0.0F);
      }
      store_pack<T>(dx, t * dx.stride + column, count, value);
    }
  }
};

struct FillZeros {
  RowTensor x;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    for (int i = 0; i < count; ++i) store_element(x, row * x.stride + column + i, 0.0F);
  }
};

// A sequence in pieces. Its blocks of 4,096 tokens are counted from its own start, as kernels/pieces.cuh counts them,
// and summed in the same order, so that pieces cut anywhere give the bits of one call. Row 0 of the state is the sum of
// the blocks that are full, rows 1 to 8 are the warps' sums in the open one. A maximum and a last number need row 0
// alone.
static_assert(ops::kPoolStateRows == 1 + kPieceWarps);

struct PoolState {
  double* data;
  std::int64_t stride;

  __device__ __forceinline__ double& at(std::int64_t row, std::int64_t channel) const {
    return data[row * stride + channel];
  }
};

/// Tokens [begin, end) of a sequence; x holds these alone.
struct Stretch {
  std::int64_t begin, end, channels;
  PoolState state;
  RowTensor y;  // absent: not wanted yet

  __host__ __device__ __forceinline__ std::int64_t first_block() const { return begin / kPieceTokens; }
  __host__ __device__ __forceinline__ std::int64_t blocks() const {
    return (end + kPieceTokens - 1) / kPieceTokens - first_block();
  }
};

/// Of every block that the stretch touches: the sum to `full` (blocks, D) or, where it stays open, the warps' sums to
/// `open` (8, D). Nobody writes the state here, which another block may still read.
template <class T>
__global__ void __launch_bounds__(kPieceThreads)
    sum_blocks_kernel(Stretch stretch, RowTensor x, double* full, double* open) {
  constexpr int kBatch = 4;
  __shared__ double of_warps[kPieceWarps][kPieceChannels];
  const std::int64_t chunks = (stretch.channels + kPieceChannels - 1) / kPieceChannels;
  const std::int64_t chunk = blockIdx.x % chunks;
  const std::int64_t number = blockIdx.x / chunks;
  const std::int64_t block_begin = (stretch.first_block() + number) * kPieceTokens;
  const std::int64_t first = max(block_begin, stretch.begin);
  const std::int64_t last = min(block_begin + kPieceTokens, stretch.end);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t channel = chunk * kPieceChannels + lane * kPack;
  const int count = pack_count(stretch.channels, channel);
  double sum[kPack];
#pragma unroll
  for (int i = 0; i < kPack; ++i) {
    sum[i] = first > block_begin && i < count ? stretch.state.at(1 + warp, channel + i) : 0.0;
  }
  // Token block_begin + i is warp i % 8's. This warp's first that is not before `first`; the dividend is not negative.
  const std::int64_t skipped = (first - block_begin + kPieceWarps - 1 - warp) / kPieceWarps;
  for (std::int64_t t = block_begin + warp + skipped * kPieceWarps; t < last; t += kBatch * kPieceWarps) {
    RawPack<T> row[kBatch];
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      const std::int64_t token = t + b * kPieceWarps;
      row[b] = load_pack<T>(x, (token - stretch.begin) * x.stride + channel, token < last ? count : 0);
    }
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      if (t + b * kPieceWarps >= last) continue;
#pragma unroll
      for (int i = 0; i < kPack; ++i) sum[i] += static_cast<double>(row[b].get(i));
    }
  }
#pragma unroll
  for (int i = 0; i < kPack; ++i) of_warps[warp][lane * kPack + i] = sum[i];
  __syncthreads();
  const std::int64_t mine = chunk * kPieceChannels + threadIdx.x;
  if (threadIdx.x >= kPieceChannels || mine >= stretch.channels) return;
  if (last - block_begin < kPieceTokens) {
    for (int w = 0; w < kPieceWarps; ++w) open[w * stretch.channels + mine] = of_warps[w][threadIdx.x];
    return;
  }
  double all = of_warps[0][threadIdx.x];
  for (int w = 1; w < kPieceWarps; ++w) all += of_warps[w][threadIdx.x];
  full[number * stretch.channels + mine] = all;
}

// One thread a channel. `open` is null when the stretch has no tokens: then what is open is in the state.
__global__ void __launch_bounds__(kPieceThreads)
    join_blocks_kernel(Stretch stretch, const double* full, const double* open) {
  const std::int64_t channel = std::int64_t{blockIdx.x} * kPieceThreads + threadIdx.x;
  if (channel >= stretch.channels) return;
  const std::int64_t closed = stretch.end / kPieceTokens - stretch.first_block();
  bool has_sum = stretch.first_block() > 0;
  double sum = has_sum ? stretch.state.at(0, channel) : 0.0;
  for (std::int64_t i = 0; i < closed; ++i) {
    const double of_block = full[i * stretch.channels + channel];
    sum = has_sum ? sum + of_block : of_block;
    has_sum = true;
  }
  stretch.state.at(0, channel) = sum;
  if (stretch.end % kPieceTokens != 0) {
    double of_block = 0.0;
    for (int w = 0; w < kPieceWarps; ++w) {
      double& kept = stretch.state.at(1 + w, channel);
      if (open != nullptr) kept = open[w * stretch.channels + channel];
      of_block = w == 0 ? kept : of_block + kept;
    }
    sum = has_sum ? sum + of_block : of_block;
  }
  if (stretch.y.data == nullptr) return;
  const double mean = stretch.end > 0 ? sum / static_cast<double>(stretch.end) : 0.0;
  store_element(stretch.y, channel, static_cast<float>(mean));
}

/// The largest so far: the state's, which came before, or this piece's.
struct LargestSoFar {
  using Number = Best;
  Stretch stretch;

  __device__ static Best start() { return {0.0F, -1}; }
  __device__ static float factor(std::int64_t, std::int64_t, bool) { return 1.0F; }
  __device__ static void add(Best& best, float x, std::int64_t token, float) { Largest::join(best, {x, token}); }
  __device__ static void join(Best& best, const Best& other) { Largest::join(best, other); }
  __device__ void finish(std::int64_t, std::int64_t length, std::int64_t channel, const Best& best) const {
    double& kept = stretch.state.at(0, channel);
    Best all = start();
    if (stretch.begin > 0) all = {static_cast<float>(kept), 0};
    if (length > 0) join(all, {best.value, stretch.begin + best.token});
    kept = static_cast<double>(all.value);
    if (stretch.y.data != nullptr) store_element(stretch.y, channel, all.value);
  }
};

struct LastSoFar {
  Stretch stretch;
  RowTensor x;

  __device__ void operator()(std::int64_t, std::int64_t column, int count) const {
    for (int i = 0; i < count; ++i) {
      double& kept = stretch.state.at(0, column + i);
      const std::int64_t row = stretch.end - stretch.begin - 1;
      if (row >= 0) kept = static_cast<double>(load_element(x, row * x.stride + column + i));
      if (row < 0 && stretch.begin == 0) kept = 0.0;
      if (stretch.y.data != nullptr) store_element(stretch.y, column + i, static_cast<float>(kept));
    }
  }
};

void add_to_mean(Context& context, const ConstView& x_td, const Stretch& stretch) {
  const std::int64_t channels = stretch.channels;
  double* full = nullptr;
  double* open = nullptr;
  if (stretch.end > stretch.begin) {
    full = context.scratch().take(DType::f64, {stretch.blocks(), channels}).as<double>();
    open = context.scratch().take(DType::f64, {kPieceWarps, channels}).as<double>();
    const std::int64_t blocks = checked_product(stretch.blocks(), ceil_div(channels, std::int64_t{kPieceChannels}));
    with_pack_type(channels, {x_td}, [&](auto element) {
      sum_blocks_kernel<decltype(element)><<<checked_grid(blocks, "pool_piece"), kPieceThreads, 0, context.stream()>>>(
          stretch, row_tensor(x_td), full, open);
      check_launch("pool_piece");
    });
  }
  const unsigned blocks = checked_grid(ceil_div(channels, std::int64_t{kPieceThreads}), "pool_piece");
  join_blocks_kernel<<<blocks, kPieceThreads, 0, context.stream()>>>(stretch, full, open);
  check_launch("pool_piece");
}

}  // namespace

void pool_piece(Context& context, const ops::PoolPieceArgs& args) {
  const Workspace::Scope scope(context.scratch());
  const std::int64_t tokens = args.x_td.size(0);
  const std::int64_t channels = args.x_td.size(1);
  const Stretch stretch{args.tokens_before,
                        args.tokens_before + tokens,
                        channels,
                        {args.state_kd.as<double>(), args.state_kd.stride(0)},
                        row_tensor(args.y_sd)};
  switch (args.kind) {
    case ops::PoolKind::mean: return add_to_mean(context, args.x_td, stretch);
    case ops::PoolKind::last:
      return launch_sweep(context, {1, channels, channels}, LastSoFar{stretch, row_tensor(args.x_td)}, "pool_piece");
    case ops::PoolKind::max: break;
  }
  const std::array<std::int64_t, 2> seq_begin{0, tokens};
  with_pack_type(channels, {args.x_td}, [&](auto element) {
    reduce_rows<decltype(element)>(context, pieces_of(context, seq_begin), args.x_td, LargestSoFar{stretch});
  });
}

void pool(Context& context, const ops::PoolArgs& args) {
  const Workspace::Scope scope(context.scratch());
  const Pieces pieces = pieces_of(context, args.seq_begin);
  const std::int64_t channels = args.x_td.size(1);
  const RowTensor y = row_tensor(args.y_sd);
  if (args.kind == ops::PoolKind::last) {
    const Last last{row_tensor(args.x_td), y, pieces.sequences};
    return launch_sweep(context, {pieces.sequences.count, channels, channels}, last, "pool");
  }
  with_pack_type(channels, {args.x_td}, [&](auto element) {
    using T = decltype(element);
    if (args.kind == ops::PoolKind::mean) return reduce_rows<T>(context, pieces, args.x_td, Mean{y});
    reduce_rows<T>(context, pieces, args.x_td, Largest{y, {}});
  });
}

void pool_backward(Context& context, const ops::PoolBackwardArgs& args) {
  const Workspace::Scope scope(context.scratch());
  const std::int64_t channels = args.dx_td.size(1);
  const RowTensor dy = row_tensor(args.dy_sd);
  const RowTensor dx = row_tensor(args.dx_td);
  const Pieces pieces = pieces_of(context, args.seq_begin);
  if (args.kind == ops::PoolKind::max) {
    launch_sweep(context, {args.dx_td.size(0), channels, channels}, FillZeros{dx}, "pool_backward");
    return with_pack_type(channels, {args.x_td}, [&](auto element) {
      reduce_rows<decltype(element)>(context, pieces, args.x_td, Largest{dy, dx});
    });
  }
  with_pack_type(channels, {args.dy_sd, args.dx_td}, [&](auto element) {
    const SpreadGradient<decltype(element)> spread{pieces.sequences, dy, dx, channels,
                                                   args.kind == ops::PoolKind::mean};
    for_each_token(context, args.seq_begin, spread, "pool_backward");
  });
}

}  // namespace strandline::cuda
