// Truth of RMSNorm and gated RMSNorm: the formulas of core/ops/norm.hpp, element by element.
#pragma once

#include "core/ops/norm.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void rms_norm(const ops::RmsNormArgs& args);

template <class T>
void rms_norm_backward(const ops::RmsNormBackwardArgs& args);

template <class T>
void gated_rms_norm(const ops::GatedRmsNormArgs& args);

template <class T>
void gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args);

extern template void rms_norm<double>(const ops::RmsNormArgs&);
extern template void rms_norm<float>(const ops::RmsNormArgs&);
extern template void rms_norm_backward<double>(const ops::RmsNormBackwardArgs&);
extern template void rms_norm_backward<float>(const ops::RmsNormBackwardArgs&);
extern template void gated_rms_norm<double>(const ops::GatedRmsNormArgs&);
extern template void gated_rms_norm<float>(const ops::GatedRmsNormArgs&);
extern template void gated_rms_norm_backward<double>(const ops::GatedRmsNormBackwardArgs&);
extern template void gated_rms_norm_backward<float>(const ops::GatedRmsNormBackwardArgs&);

}  // namespace strandline::ref
