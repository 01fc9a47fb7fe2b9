// The operations of core/ops/elementwise.hpp on the GPU.
#pragma once

#include "core/ops/elementwise.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void add(Context& context, ConstView x, View y);
void multiply(Context& context, ConstView x, View y);
void reverse_channels(Context& context, ConstView x_td, View y_td);
void dropout(Context& context, const ops::DropoutArgs& args);

}  // namespace strandline::cuda
