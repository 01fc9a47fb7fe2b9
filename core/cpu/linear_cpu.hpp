// The linear map on the CPU, in fp32. Contract: core/ops/linear.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/linear.hpp"

namespace strandline::cpu {

void linear(CpuContext& context, const ops::LinearArgs& args);
void linear_backward(CpuContext& context, const ops::LinearBackwardArgs& args);

}  // namespace strandline::cpu
