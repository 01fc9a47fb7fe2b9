// The iterated pseudo-inverse on the CPU, in fp32. Contract: core/ops/pseudo_inverse.hpp, whose checks the arguments
// have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/pseudo_inverse.hpp"

namespace strandline::cpu {

void pseudo_inverse(CpuContext& context, const ops::PseudoInverseArgs& args);
void pseudo_inverse_backward(CpuContext& context, const ops::PseudoInverseBackwardArgs& args);

}  // namespace strandline::cpu
