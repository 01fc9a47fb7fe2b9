// Truth of the softmax cross entropy: the formulas of core/ops/cross_entropy.hpp, element by element.
#pragma once

#include "core/ops/cross_entropy.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void cross_entropy(const ops::CrossEntropyArgs& args);

extern template void cross_entropy<double>(const ops::CrossEntropyArgs&);
extern template void cross_entropy<float>(const ops::CrossEntropyArgs&);

}  // namespace strandline::ref
