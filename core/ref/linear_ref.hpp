// Truth of the linear map: the formulas of core/ops/linear.hpp, element by element.
#pragma once

#include "core/ops/linear.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void linear(const ops::LinearArgs& args);

template <class T>
void linear_backward(const ops::LinearBackwardArgs& args);

extern template void linear<double>(const ops::LinearArgs&);
extern template void linear<float>(const ops::LinearArgs&);
extern template void linear_backward<double>(const ops::LinearBackwardArgs&);
extern template void linear_backward<float>(const ops::LinearBackwardArgs&);

}  // namespace strandline::ref
