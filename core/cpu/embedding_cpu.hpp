// The embedding look-up on the CPU, in fp32. Contract: core/ops/embedding.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/embedding.hpp"

namespace strandline::cpu {

void embedding(CpuContext& context, const ops::EmbeddingArgs& args);
void embedding_backward(CpuContext& context, const ops::EmbeddingBackwardArgs& args);

}  // namespace strandline::cpu
