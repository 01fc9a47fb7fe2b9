// Contract of softmax attention with many heads. Truth: core/ref/attention_ref.hpp.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: S sequences, T query tokens and U key tokens in the pack, H heads, P head width. Query t and key u of one
/// sequence:
///
///     a[t, h, u] = exp(scale * q[t, h] . k[u, h]) / sum over the sequence's keys      y[t, h] = sum_u a[t, h, u] v[u,
///     h] log_sum[t, h] = log sum_u exp(scale * q[t, h] . k[u, h])
///
/// Self-attention is query_begin = key_begin. Nothing is causal. A sequence without keys gives zeros and a log_sum of
/// -infinity; one without queries gives nothing. Tokens may be strided (slices of one projection, say); the last
/// axis is dense. y must not overlap an input.
/// Cost: 4 T U H P floating-point operations; memory does not grow with T U.
/// Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
struct AttentionArgs {
  ConstView q_thp;
  ConstView k_uhp;
  ConstView v_uhp;
  std::span<const std::int64_t> query_begin;  ///< S + 1 ascending offsets into T: first 0, last T (host memory)
  std::span<const std::int64_t> key_begin;    ///< the same into U
  double scale = 1.0;
  View y_thp;
  View log_sum_th{};  ///< for the backward; absent: not wanted
};

/// Given dy, with y and log_sum as the forward wrote them. dq, dk and dv are overwritten; absent ones are not computed.
///
///     da = dy . v      ds = a * (da - dy . y)      dq = scale * ds k      dk = scale * ds^T q      dv = a^T dy
struct AttentionBackwardArgs {
  AttentionArgs forward;  ///< y_thp and log_sum_th are read
  ConstView dy_thp;
  View dq_thp{};
  View dk_uhp{};
  View dv_uhp{};
};

/// A sequence's bits do not depend on what else is in the pack. Enqueued on the back end's stream. Same input, same
/// back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void attention(Backend& backend, const AttentionArgs& args);
void attention_backward(Backend& backend, const AttentionBackwardArgs& args);

/// Softmax of rows of C numbers: y[t, c] = exp(scale * x[t, c]) / sum_c exp(scale * x[t, c]). y may be x itself.
struct SoftmaxArgs {
  ConstView x_tc;
  double scale = 1.0;
  View y_tc;
};

/// dx[t, c] = scale * y[t, c] * (dy[t, c] - dy[t] . y[t]), with y as the forward wrote it. dx may be dy itself.
struct SoftmaxBackwardArgs {
  ConstView y_tc;
  double scale = 1.0;
  ConstView dy_tc;
  View dx_tc;
};

void softmax(Backend& backend, const SoftmaxArgs& args);
void softmax_backward(Backend& backend, const SoftmaxBackwardArgs& args);

}  // namespace strandline::ops
