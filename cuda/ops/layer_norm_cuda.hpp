// The operations of core/ops/layer_norm.hpp on the GPU.
#pragma once

#include "core/ops/layer_norm.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void layer_norm(Context& context, const ops::LayerNormArgs& args);
void layer_norm_backward(Context& context, const ops::LayerNormBackwardArgs& args);

}  // namespace strandline::cuda
