// Contract of LayerNorm. Truth: core/ref/layer_norm_ref.hpp.
#pragma once

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: T tokens, D channels. With the mean and the variance (over D, not D - 1) of a row:
///
///     y[t, d] = weight[d] * (x[t, d] - mean[t]) / sqrt(variance[t] + eps) + bias[d]
///
/// The last axis of every tensor is dense. y may be x itself. T = 0 does nothing.
/// Source: Ba, Kiros, Hinton 2016 (arXiv 1607.06450), equation 4.
struct LayerNormArgs {
  ConstView x_td;
  ConstView weight_d;
  ConstView bias_d;
  double eps = 1e-5;
  View y_td;
};

/// dx is overwritten, or added to when `accumulate_dx` (the residual path); dweight and dbias are added to. Absent
/// outputs are not computed.
struct LayerNormBackwardArgs {
  ConstView x_td;
  ConstView weight_d;
  double eps = 1e-5;
  ConstView dy_td;
  View dx_td{};
  bool accumulate_dx = false;
  View dweight_d{};
  View dbias_d{};
};

/// Sums over a row are in one fixed order, so that a row's bits depend on that row alone.
/// Enqueued on the back end's stream. Same input, same back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void layer_norm(Backend& backend, const LayerNormArgs& args);
void layer_norm_backward(Backend& backend, const LayerNormBackwardArgs& args);

}  // namespace strandline::ops
