// Pooling on the CPU, in fp32. Contract: core/ops/pool.hpp, whose checks the arguments have passed.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/pool.hpp"

namespace strandline::cpu {

void pool(CpuContext& context, const ops::PoolArgs& args);
void pool_piece(CpuContext& context, const ops::PoolPieceArgs& args);
void pool_backward(CpuContext& context, const ops::PoolBackwardArgs& args);
void attention_pool(CpuContext& context, const ops::AttentionPoolArgs& args);
void attention_pool_backward(CpuContext& context, const ops::AttentionPoolBackwardArgs& args);

}  // namespace strandline::cpu
