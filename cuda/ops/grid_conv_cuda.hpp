// The operations of core/ops/grid_conv.hpp on the GPU.
#pragma once

#include "core/ops/grid_conv.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void grid_conv(Context& context, const ops::GridConvArgs& args);
void grid_conv_backward(Context& context, const ops::GridConvBackwardArgs& args);

}  // namespace strandline::cuda
