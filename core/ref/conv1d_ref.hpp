// Truth of the causal depthwise convolution: the formula of core/ops/conv1d.hpp, element by element.
#pragma once

#include "core/ops/conv1d.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void conv1d(const ops::Conv1dArgs& args);

template <class T>
void conv1d_backward(const ops::Conv1dBackwardArgs& args);

extern template void conv1d<double>(const ops::Conv1dArgs&);
extern template void conv1d<float>(const ops::Conv1dArgs&);
extern template void conv1d_backward<double>(const ops::Conv1dBackwardArgs&);
extern template void conv1d_backward<float>(const ops::Conv1dBackwardArgs&);

}  // namespace strandline::ref
