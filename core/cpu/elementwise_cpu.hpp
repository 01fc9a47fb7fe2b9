// Sums, products, reversed channels and dropout on the CPU, in fp32. Contract: core/ops/elementwise.hpp, whose checks
// the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/elementwise.hpp"

namespace strandline::cpu {

void add(CpuContext& context, const ConstView& x, const View& y);
void multiply(CpuContext& context, const ConstView& x, const View& y);
void reverse_channels(CpuContext& context, const ConstView& x_td, const View& y_td);
void dropout(CpuContext& context, const ops::DropoutArgs& args);

}  // namespace strandline::cpu
