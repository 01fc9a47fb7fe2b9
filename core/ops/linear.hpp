// Contract of the linear map. Truth: core/ref/linear_ref.hpp.
#pragma once

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: T rows, I inputs, O outputs. The last axis of every tensor is dense; rows may be strided.
///
///     y[t, o] (+)= sum_i x[t, i] * weight[o, i] + bias[o]
///
/// y must not overlap an input. T = 0 is legal and does nothing.
struct LinearArgs {
  ConstView x_ti;
  ConstView weight_oi;
  ConstView bias_o{};  ///< absent: no bias
  View y_to;
  bool accumulate = false;  ///< add to y instead of overwriting it
};

/// Gradients of LinearArgs given dy. dx is overwritten; dweight and dbias are added to. Absent outputs are not
/// computed.
///
///     dx[t, i] = sum_o dy[t, o] * weight[o, i]      dweight[o, i] += sum_t dy[t, o] * x[t, i]      dbias[o] += sum_t
///     dy[t, o]
struct LinearBackwardArgs {
  ConstView x_ti;
  ConstView weight_oi;
  ConstView dy_to;
  View dx_ti{};
  View dweight_oi{};
  View dbias_o{};
};

/// The bits of a row of y depend on that row of x alone, not on T or the row's place.
/// Enqueued on the back end's stream. Same input, same back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void linear(Backend& backend, const LinearArgs& args);
void linear_backward(Backend& backend, const LinearBackwardArgs& args);

}  // namespace strandline::ops
