// The depthwise convolution over a grid on the CPU, in fp32. Contract: core/ops/grid_conv.hpp, whose checks the
// arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/grid_conv.hpp"

namespace strandline::cpu {

void grid_conv(CpuContext& context, const ops::GridConvArgs& args);
void grid_conv_backward(CpuContext& context, const ops::GridConvBackwardArgs& args);

}  // namespace strandline::cpu
