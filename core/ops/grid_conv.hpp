// Contract of the depthwise convolution over a grid of tokens. Truth: core/ref/grid_conv_ref.hpp.
#pragma once

#include <cstdint>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: T = rows * columns tokens of one grid, row by row; D channels; G groups of D / G neighbouring channels that
/// share taps; K by L taps, both odd. Outside the grid x is zero:
///
///     y[r, c, d] (+)= bias[d] + sum_{k, l} weight[g(d), k, l] * x[r + k - K/2, c + l - L/2, d]
///
/// A grid of one column and L = 1 is a convolution along a sequence that looks both ways. The last axis of x and y is
/// dense, weight is dense. y must not overlap an input. T = 0 does nothing.
/// Cost: 2 T D K L floating-point operations.
struct GridConvArgs {
  ConstView x_td;
  ConstView weight_gkl;
  ConstView bias_d{};
  std::int64_t columns = 1;
  bool accumulate = false;  ///< add to y instead of overwriting it
  View y_td;
};

/// Gradients of GridConvArgs given dy. dx is overwritten, or added to when `accumulate_dx`; dweight and dbias are added
/// to. Absent outputs are not computed.
struct GridConvBackwardArgs {
  ConstView x_td;
  ConstView weight_gkl;
  std::int64_t columns = 1;
  ConstView dy_td;
  View dx_td{};
  bool accumulate_dx = false;
  View dweight_gkl{};
  View dbias_d{};
};

/// Enqueued on the back end's stream. Same input, same back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void grid_conv(Backend& backend, const GridConvArgs& args);
void grid_conv_backward(Backend& backend, const GridConvBackwardArgs& args);

}  // namespace strandline::ops
