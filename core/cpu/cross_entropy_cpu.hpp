// The softmax cross entropy on the CPU, in fp32. Contract: core/ops/cross_entropy.hpp, whose checks the arguments have
// passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/cross_entropy.hpp"

namespace strandline::cpu {

void cross_entropy(CpuContext& context, const ops::CrossEntropyArgs& args);

}  // namespace strandline::cpu
