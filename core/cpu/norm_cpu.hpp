// RMSNorm and gated RMSNorm on the CPU, in fp32. Contract: core/ops/norm.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/norm.hpp"

namespace strandline::cpu {

void rms_norm(CpuContext& context, const ops::RmsNormArgs& args);
void rms_norm_backward(CpuContext& context, const ops::RmsNormBackwardArgs& args);
void gated_rms_norm(CpuContext& context, const ops::GatedRmsNormArgs& args);
void gated_rms_norm_backward(CpuContext& context, const ops::GatedRmsNormBackwardArgs& args);

}  // namespace strandline::cpu
