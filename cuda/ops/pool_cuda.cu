// Pooling by mean, last token and maximum. By attention: attention_pool_cuda.cu.
#include "cuda/ops/pool_cuda.hpp"

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

}  // namespace

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
