// Activations on the CPU, in fp32. Contract: core/ops/activation.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/activation.hpp"

namespace strandline::cpu {

void activation(CpuContext& context, const ops::ActivationArgs& args);
void activation_backward(CpuContext& context, const ops::ActivationBackwardArgs& args);

}  // namespace strandline::cpu
