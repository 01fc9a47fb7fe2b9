// Pooling by attention. Three passes over the scores or rows: the largest score of each sequence, the sum of the
// exponentials, the weighted sum.
#include <cmath>

#include "cuda/kernels/pieces.cuh"
#include "cuda/ops/pool_cuda.hpp"

namespace strandline::cuda {
namespace {

struct LargestScore {
  using Number = double;
  RowTensor score;
  float* top;  // of each sequence

  __device__ static double start() { return -INFINITY; }
  __device__ double value(std::int64_t, std::int64_t t) const { return static_cast<double>(load_element(score, t)); }
  __device__ static void join(double& a, double b) { a = fmax(a, b); }
  __device__ void finish(std::int64_t s, std::int64_t, std::int64_t, double largest) const {
    top[s] = static_cast<float>(largest);
  }
};

struct ExponentialSum {
  using Number = double;
  RowTensor score;
  const float* top;
  float* sum;

  __device__ static double start() { return 0.0; }
  __device__ double value(std::int64_t s, std::int64_t t) const {
    return static_cast<double>(expf(load_element(score, t) - top[s]));
  }
  __device__ static void join(double& a, double b) { a += b; }
  __device__ void finish(std::int64_t s, std::int64_t, std::int64_t, double all) const {
    sum[s] = static_cast<float>(all);
  }
};

struct WeightedSum {
  using Number = double;
  RowTensor score, weight, y;
  const float* top;
  const float* sum;

  __device__ static double start() { return 0.0; }
  __device__ float factor(std::int64_t s, std::int64_t t, bool is_first) const {
    const float of_token = expf(load_element(score, t) - top[s]) / sum[s];
    if (is_first) store_element(weight, t, of_token);
    return of_token;
  }
  __device__ static void add(double& all, float x, std::int64_t, float factor) {
    all = fma(static_cast<double>(factor), static_cast<double>(x), all);
  }
  __device__ static void join(double& a, double b) { a += b; }
  __device__ void finish(std::int64_t s, std::int64_t, std::int64_t channel, double all) const {
    store_element(y, s * y.stride + channel, static_cast<float>(all));
  }
};

/// The weights alone, for rows without channels.
struct StoreWeight {
  WeightedSum of;

  __device__ void operator()(std::int64_t s, std::int64_t t) const { of.factor(s, t, threadIdx.x % kWarp == 0); }
};

/// dw[t] = dy . x[t], and dx.
template <class T>
struct RowGradient {
  RowTensor x, weight, dy, dx;
  std::int64_t channels;
  float* dweight;

  __device__ void operator()(std::int64_t s, std::int64_t t) const {
    const float of_token = load_element(weight, t);
    float dot = 0.0F;
    for (std::int64_t column = threadIdx.x % kWarp * kPack; column < channels; column += kWarp * kPack) {
      const int count = pack_count(channels, column);
      const RawPack<T> row = load_pack<T>(x, t * x.stride + column, count);
      const RawPack<T> of_sequence = load_pack<T>(dy, s * dy.stride + column, count);
      float value[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        dot = fmaf(of_sequence.get(i), row.get(i), dot);
        value[i] = of_token * of_sequence.get(i);
      }
      store_pack<T>(dx, t * dx.stride + column, count, value);
    }
    dot = warp_sum(dot);
    if (threadIdx.x % kWarp == 0) dweight[t] = dot;
  }
};

struct MeanGradient {
  using Number = double;
  RowTensor weight;
  const float* dweight;
  float* mean;

  __device__ static double start() { return 0.0; }
  __device__ double value(std::int64_t, std::int64_t t) const {
    return static_cast<double>(load_element(weight, t)) * static_cast<double>(dweight[t]);
  }
  __device__ static void join(double& a, double b) { a += b; }
  __device__ void finish(std::int64_t s, std::int64_t, std::int64_t, double all) const {
    mean[s] = static_cast<float>(all);
  }
};

struct ScoreGradient {
  RowTensor weight, dscore;
  const float* dweight;
  const float* mean;

  __device__ void operator()(std::int64_t s, std::int64_t t) const {
    if (threadIdx.x % kWarp == 0) store_element(dscore, t, load_element(weight, t) * (dweight[t] - mean[s]));
  }
};

float* take_floats(Context& context, std::int64_t count) {
  return device_data<float>(context.scratch().take(DType::f32, {count}));
}

}  // namespace

void attention_pool(Context& context, const ops::AttentionPoolArgs& args) {
  const Workspace::Scope scope(context.scratch());
  const Pieces pieces = pieces_of(context, args.seq_begin);
  const RowTensor score = row_tensor(args.score_t);
  float* top = take_floats(context, pieces.sequences.count);
  float* sum = take_floats(context, pieces.sequences.count);
  reduce_tokens(context, pieces, LargestScore{score, top});
  reduce_tokens(context, pieces, ExponentialSum{score, top, sum});
  const WeightedSum weighted{score, row_tensor(args.weight_t), row_tensor(args.y_sd), top, sum};
  if (args.x_td.size(1) == 0) return for_each_token(context, args.seq_begin, StoreWeight{weighted}, "attention_pool");
  with_pack_type(args.x_td.size(1), {args.x_td},
                 [&](auto element) { reduce_rows<decltype(element)>(context, pieces, args.x_td, weighted); });
}

void attention_pool_backward(Context& context, const ops::AttentionPoolBackwardArgs& args) {
  const Workspace::Scope scope(context.scratch());
  const Pieces pieces = pieces_of(context, args.seq_begin);
  const RowTensor weight = row_tensor(args.weight_t);
  const std::int64_t channels = args.x_td.size(1);
  float* dweight = take_floats(context, args.x_td.size(0));
  float* mean = take_floats(context, pieces.sequences.count);
  with_pack_type(channels, {args.x_td, args.dy_sd, args.dx_td}, [&](auto element) {
    const RowGradient<decltype(element)> rows{row_tensor(args.x_td),  weight,   row_tensor(args.dy_sd),
                                              row_tensor(args.dx_td), channels, dweight};
    for_each_token(context, args.seq_begin, rows, "attention_pool_backward");
  });
  reduce_tokens(context, pieces, MeanGradient{weight, dweight, mean});
  for_each_token(context, args.seq_begin, ScoreGradient{weight, row_tensor(args.dscore_t), dweight, mean},
                 "attention_pool_backward");
}

}  // namespace strandline::cuda
