// The operations of core/ops/cross_entropy.hpp on the GPU.
#pragma once

#include "core/ops/cross_entropy.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void cross_entropy(Context& context, const ops::CrossEntropyArgs& args);

}  // namespace strandline::cuda
