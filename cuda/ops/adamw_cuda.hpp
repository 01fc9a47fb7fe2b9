// The operations of core/ops/adamw.hpp on the GPU.
#pragma once

#include "core/ops/adamw.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

double sum_of_squares(Context& context, ConstView x);
void adamw(Context& context, const ops::AdamwArgs& args);

}  // namespace strandline::cuda
