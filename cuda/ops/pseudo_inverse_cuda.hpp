// The operations of core/ops/pseudo_inverse.hpp on the GPU.
#pragma once

#include "core/ops/pseudo_inverse.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void pseudo_inverse(Context& context, const ops::PseudoInverseArgs& args);
void pseudo_inverse_backward(Context& context, const ops::PseudoInverseBackwardArgs& args);

}  // namespace strandline::cuda
