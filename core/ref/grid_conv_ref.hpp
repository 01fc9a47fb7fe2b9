// Truth of the depthwise convolution over a grid: the formula of core/ops/grid_conv.hpp, element by element.
#pragma once

#include "core/ops/grid_conv.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void grid_conv(const ops::GridConvArgs& args);

template <class T>
void grid_conv_backward(const ops::GridConvBackwardArgs& args);

extern template void grid_conv<double>(const ops::GridConvArgs&);
extern template void grid_conv<float>(const ops::GridConvArgs&);
extern template void grid_conv_backward<double>(const ops::GridConvBackwardArgs&);
extern template void grid_conv_backward<float>(const ops::GridConvBackwardArgs&);

}  // namespace strandline::ref
