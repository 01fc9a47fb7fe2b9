// The operations of core/ops/conv1d.hpp on the GPU.
#pragma once

#include "core/ops/conv1d.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void conv1d(Context& context, const ops::Conv1dArgs& args);
void conv1d_backward(Context& context, const ops::Conv1dBackwardArgs& args);

}  // namespace strandline::cuda
