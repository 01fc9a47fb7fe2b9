// Sums and dropout on the CPU, in fp32. Contract: core/ops/elementwise.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/elementwise.hpp"

namespace strandline::cpu {

void add(CpuContext& context, const ConstView& x, const View& y);
void dropout(CpuContext& context, const ops::DropoutArgs& args);

}  // namespace strandline::cpu
