// LayerNorm on the CPU, in fp32. Contract: core/ops/layer_norm.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/layer_norm.hpp"

namespace strandline::cpu {

void layer_norm(CpuContext& context, const ops::LayerNormArgs& args);
void layer_norm_backward(CpuContext& context, const ops::LayerNormBackwardArgs& args);

}  // namespace strandline::cpu
