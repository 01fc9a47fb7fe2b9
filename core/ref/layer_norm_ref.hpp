// Truth of LayerNorm: the formulas of core/ops/layer_norm.hpp, element by element.
#pragma once

#include "core/ops/layer_norm.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void layer_norm(const ops::LayerNormArgs& args);

template <class T>
void layer_norm_backward(const ops::LayerNormBackwardArgs& args);

extern template void layer_norm<double>(const ops::LayerNormArgs&);
extern template void layer_norm<float>(const ops::LayerNormArgs&);
extern template void layer_norm_backward<double>(const ops::LayerNormBackwardArgs&);
extern template void layer_norm_backward<float>(const ops::LayerNormBackwardArgs&);

}  // namespace strandline::ref
