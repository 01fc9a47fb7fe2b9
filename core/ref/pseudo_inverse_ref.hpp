// Truth of the iterated pseudo-inverse: the formula of core/ops/pseudo_inverse.hpp, matrix by matrix.
#pragma once

#include "core/ops/pseudo_inverse.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void pseudo_inverse(const ops::PseudoInverseArgs& args);

template <class T>
void pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs& args);

extern template void pseudo_inverse<double>(const ops::PseudoInverseArgs&);
extern template void pseudo_inverse<float>(const ops::PseudoInverseArgs&);
extern template void pseudo_inverse_backward<double>(const ops::PseudoInverseBackwardArgs&);
extern template void pseudo_inverse_backward<float>(const ops::PseudoInverseBackwardArgs&);

}  // namespace strandline::ref
