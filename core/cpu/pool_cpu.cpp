#include "core/cpu/pool_cpu.hpp"

#include <array>
#include <cmath>

#include "core/cpu/rows.hpp"

namespace strandline::cpu {
namespace {

// A task is some columns of one sequence: each column is summed over its tokens in order by one thread.
constexpr std::int64_t kColumns = 64;

/// Tokens [begin, end) and channels [d_begin, d_end) of sequence s.
struct Patch {
  std::int64_t s;
  std::int64_t begin;
  std::int64_t end;
  std::int64_t d_begin;
  std::int64_t d_end;
};

template <class Body>
void for_patches(CpuContext& context, std::span<const std::int64_t> seq_begin, std::int64_t channels, Body&& body) {
  const auto sequences = static_cast<std::int64_t>(seq_begin.size()) - 1;
  const std::int64_t column_blocks = ceil_div(channels, kColumns);
  context.team.parallel_for(sequences * column_blocks, [&](std::int64_t task, int) {
    const std::int64_t s = task / column_blocks;
    const std::int64_t d = task % column_blocks * kColumns;
    const auto index = static_cast<std::size_t>(s);
    body(Patch{s, seq_begin[index], seq_begin[index + 1], d, std::min(channels, d + kColumns)});
  });
}

/// y[d] = sum over the patch's tokens of weight[t] * x[t, d] in double, in order; weight null means 1.
void weighted_sum(const ConstView& x_td, const float* weight, const Patch& patch, double (&sum)[kColumns]) {
  const std::int64_t width = patch.d_end - patch.d_begin;
  for (std::int64_t t = patch.begin; t < patch.end; ++t) {
    const float* row = x_td.as<float>() + t * x_td.stride(0) + patch.d_begin;
    const double w = weight == nullptr ? 1.0 : static_cast<double>(weight[t]);
    for (std::int64_t d = 0; d < width; ++d) sum[d] += w * static_cast<double>(row[d]);
  }
}

/// Which token holds the largest value: of equal ones the first; a NaN counts as the largest.
std::int64_t largest(const ConstView& x_td, const Patch& patch, std::int64_t d) {
  const auto* x = x_td.as<float>() + d;
  const std::int64_t stride = x_td.stride(0);
  std::int64_t best = patch.begin;
  for (std::int64_t t = patch.begin + 1; t < patch.end; ++t) {
    const float value = x[t * stride];
    if (value > x[best * stride] || (std::isnan(value) && !std::isnan(x[best * stride]))) best = t;
  }
  return best;
}

void pool_patch(const ops::PoolArgs& args, const Patch& patch) {
  float* y = args.y_sd.as<float>() + patch.s * args.y_sd.stride(0);
  if (patch.begin == patch.end) {
    std::fill(y + patch.d_begin, y + patch.d_end, 0.0F);
    return;
  }
  const auto* x = args.x_td.as<float>();
  const std::int64_t stride = args.x_td.stride(0);
  double sum[kColumns] = {};
  switch (args.kind) {
    case ops::PoolKind::mean:
      weighted_sum(args.x_td, nullptr, patch, sum);
      for (std::int64_t d = patch.d_begin; d < patch.d_end; ++d) {
        y[d] = static_cast<float>(sum[d - patch.d_begin] / static_cast<double>(patch.end - patch.begin));
      }
      break;
    case ops::PoolKind::last:
      for (std::int64_t d = patch.d_begin; d < patch.d_end; ++d) y[d] = x[(patch.end - 1) * stride + d];
      break;
    case ops::PoolKind::max:
      for (std::int64_t d = patch.d_begin; d < patch.d_end; ++d) y[d] = x[largest(args.x_td, patch, d) * stride + d];
      break;
  }
}

/// `state` is the patch's part of the sum, the largest or the last number so far.
void add_to_state(const ops::PoolPieceArgs& args, const Patch& patch, double* state) {
  const std::int64_t width = patch.d_end - patch.d_begin;
  if (args.tokens_before == 0) std::fill(state, state + width, 0.0);
  if (patch.begin == patch.end) return;
  if (args.kind == ops::PoolKind::mean) {
    double sum[kColumns] = {};
    std::copy(state, state + width, sum);
    weighted_sum(args.x_td, nullptr, patch, sum);
    std::copy(sum, sum + width, state);
    return;
  }
  const auto* x = args.x_td.as<float>();
  for (std::int64_t i = 0; i < width; ++i) {
    const std::int64_t d = patch.d_begin + i;
    const std::int64_t t = args.kind == ops::PoolKind::last ? patch.end - 1 : largest(args.x_td, patch, d);
    const auto value = static_cast<double>(x[t * args.x_td.stride(0) + d]);
    const bool is_new = args.kind == ops::PoolKind::last || args.tokens_before == 0 || value > state[i] ||
                        (std::isnan(value) && !std::isnan(state[i]));
    if (is_new) state[i] = value;
  }
}

void pool_backward_patch(const ops::PoolBackwardArgs& args, const Patch& patch) {
  const float* dy = args.dy_sd.as<float>() + patch.s * args.dy_sd.stride(0);
  auto* dx = args.dx_td.as<float>();
  const std::int64_t stride = args.dx_td.stride(0);
  if (patch.begin == patch.end) return;
  const bool is_mean = args.kind == ops::PoolKind::mean;
  const auto length = static_cast<float>(patch.end - patch.begin);
  for (std::int64_t t = patch.begin; t < patch.end; ++t) {
    for (std::int64_t d = patch.d_begin; d < patch.d_end; ++d) dx[t * stride + d] = is_mean ? dy[d] / length : 0.0F;
  }
  if (is_mean) return;
  for (std::int64_t d = patch.d_begin; d < patch.d_end; ++d) {
    const std::int64_t t = args.kind == ops::PoolKind::last ? patch.end - 1 : largest(args.x_td, patch, d);
    dx[t * stride + d] = dy[d];
  }
}

/// weight = softmax of the scores of one sequence; the sum in double, in order.
void softmax(const SimdTable& simd, const float* score, std::int64_t n, float* weight) {
  if (n == 0) return;
  const float top = *std::max_element(score, score + n);
  for (std::int64_t t = 0; t < n; ++t) weight[t] = score[t] - top;
  simd.exp(n, weight, weight);
  double sum = 0.0;
  for (std::int64_t t = 0; t < n; ++t) sum += static_cast<double>(weight[t]);
  for (std::int64_t t = 0; t < n; ++t) weight[t] = static_cast<float>(static_cast<double>(weight[t]) / sum);
}

}  // namespace

void pool(CpuContext& context, const ops::PoolArgs& args) {
  for_patches(context, args.seq_begin, args.x_td.size(1), [&](const Patch& patch) { pool_patch(args, patch); });
}

void pool_piece(CpuContext& context, const ops::PoolPieceArgs& args) {
  const std::int64_t tokens = args.x_td.size(0);
  const std::array<std::int64_t, 2> seq_begin{0, tokens};
  const std::int64_t so_far = args.tokens_before + tokens;
  const bool divides = args.kind == ops::PoolKind::mean && so_far > 0;
  for_patches(context, seq_begin, args.x_td.size(1), [&](const Patch& patch) {
    double* state = args.state_kd.as<double>() + patch.d_begin;
    add_to_state(args, patch, state);
    if (!args.y_sd) return;
    float* y = args.y_sd.as<float>() + patch.d_begin;
    for (std::int64_t i = 0; i < patch.d_end - patch.d_begin; ++i) {
      y[i] = static_cast<float>(divides ? state[i] / static_cast<double>(so_far) : state[i]);
    }
  });
}

void pool_backward(CpuContext& context, const ops::PoolBackwardArgs& args) {
  for_patches(context, args.seq_begin, args.dx_td.size(1),
              [&](const Patch& patch) { pool_backward_patch(args, patch); });
}

void attention_pool(CpuContext& context, const ops::AttentionPoolArgs& args) {
  const auto sequences = static_cast<std::int64_t>(args.seq_begin.size()) - 1;
  const auto* score = args.score_t.as<float>();
  auto* weight = args.weight_t.as<float>();
  context.team.parallel_for(sequences, [&](std::int64_t s, int) {
    const std::int64_t begin = args.seq_begin[static_cast<std::size_t>(s)];
    const std::int64_t end = args.seq_begin[static_cast<std::size_t>(s) + 1];
    softmax(context.simd, score + begin, end - begin, weight + begin);
  });
  for_patches(context, args.seq_begin, args.x_td.size(1), [&](const Patch& patch) {
    double sum[kColumns] = {};
    weighted_sum(args.x_td, weight, patch, sum);
    float* y = args.y_sd.as<float>() + patch.s * args.y_sd.stride(0);
    for (std::int64_t d = patch.d_begin; d < patch.d_end; ++d) y[d] = static_cast<float>(sum[d - patch.d_begin]);
  });
}

// With dw[t] = dy . x[t]: dscore[t] = weight[t] * (dw[t] - sum of weight * dw over the sequence), the sum in double.
void attention_pool_backward(CpuContext& context, const ops::AttentionPoolBackwardArgs& args) {
  const auto sequences = static_cast<std::int64_t>(args.seq_begin.size()) - 1;
  const std::int64_t channels = args.x_td.size(1);
  const auto* weight = args.weight_t.as<float>();
  auto* dscore = args.dscore_t.as<float>();
  for_rows(context, args.x_td.size(0), channels, [&](std::int64_t begin, std::int64_t end, int) {
    const auto after = std::upper_bound(args.seq_begin.begin(), args.seq_begin.end(), begin);
    auto s = static_cast<std::int64_t>(after - args.seq_begin.begin()) - 1;
    for (std::int64_t t = begin; t < end; ++t) {
      while (args.seq_begin[static_cast<std::size_t>(s) + 1] <= t) ++s;
      const float* dy = args.dy_sd.as<float>() + s * args.dy_sd.stride(0);
      dscore[t] = context.simd.dot(channels, dy, args.x_td.as<float>() + t * args.x_td.stride(0));
      context.simd.scale(channels, weight[t], dy, args.dx_td.as<float>() + t * args.dx_td.stride(0));
    }
  });
  context.team.parallel_for(sequences, [&](std::int64_t s, int) {
    const std::int64_t begin = args.seq_begin[static_cast<std::size_t>(s)];
    const std::int64_t end = args.seq_begin[static_cast<std::size_t>(s) + 1];
    double mean = 0.0;
    for (std::int64_t t = begin; t < end; ++t) mean += static_cast<double>(weight[t]) * static_cast<double>(dscore[t]);
    for (std::int64_t t = begin; t < end; ++t) {
      dscore[t] = static_cast<float>(static_cast<double>(weight[t]) * (static_cast<double>(dscore[t]) - mean));
    }
  });
}

}  // namespace strandline::cpu
