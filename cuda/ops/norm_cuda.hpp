// The operations of core/ops/norm.hpp on the GPU.
#pragma once

#include "core/ops/norm.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void rms_norm(Context& context, const ops::RmsNormArgs& args);
void rms_norm_backward(Context& context, const ops::RmsNormBackwardArgs& args);
void gated_rms_norm(Context& context, const ops::GatedRmsNormArgs& args);
void gated_rms_norm_backward(Context& context, const ops::GatedRmsNormBackwardArgs& args);

}  // namespace strandline::cuda
