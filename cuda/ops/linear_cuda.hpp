// The operations of core/ops/linear.hpp on the GPU.
#pragma once

#include "core/ops/linear.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void linear(Context& context, const ops::LinearArgs& args);
void linear_backward(Context& context, const ops::LinearBackwardArgs& args);

}  // namespace strandline::cuda
