// The optimiser's arithmetic on the CPU, in fp32. Contract: core/ops/adamw.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/adamw.hpp"

namespace strandline::cpu {

void adamw(CpuContext& context, const ops::AdamwArgs& args);
double sum_of_squares(CpuContext& context, const ConstView& x);

}  // namespace strandline::cpu
