// Attention and softmax on the CPU, in fp32. Contract: core/ops/attention.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/attention.hpp"

namespace strandline::cpu {

void attention(CpuContext& context, const ops::AttentionArgs& args);
void attention_backward(CpuContext& context, const ops::AttentionBackwardArgs& args);
void softmax(CpuContext& context, const ops::SoftmaxArgs& args);
void softmax_backward(CpuContext& context, const ops::SoftmaxBackwardArgs& args);

}  // namespace strandline::cpu
