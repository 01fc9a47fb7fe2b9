// Truth of the activations: the formulas of core/ops/activation.hpp, element by element.
#pragma once

#include "core/ops/activation.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void activation(const ops::ActivationArgs& args);

template <class T>
void activation_backward(const ops::ActivationBackwardArgs& args);

extern template void activation<double>(const ops::ActivationArgs&);
extern template void activation<float>(const ops::ActivationArgs&);
extern template void activation_backward<double>(const ops::ActivationBackwardArgs&);
extern template void activation_backward<float>(const ops::ActivationBackwardArgs&);

}  // namespace strandline::ref
