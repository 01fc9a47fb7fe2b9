// The operations of core/ops/activation.hpp on the GPU.
#pragma once

#include "core/ops/activation.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void activation(Context& context, const ops::ActivationArgs& args);
void activation_backward(Context& context, const ops::ActivationBackwardArgs& args);

}  // namespace strandline::cuda
