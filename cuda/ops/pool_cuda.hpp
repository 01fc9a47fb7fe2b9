// The operations of core/ops/pool.hpp on the GPU.
#pragma once

#include "core/ops/pool.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void pool(Context& context, const ops::PoolArgs& args);
void pool_piece(Context& context, const ops::PoolPieceArgs& args);
void pool_backward(Context& context, const ops::PoolBackwardArgs& args);
void attention_pool(Context& context, const ops::AttentionPoolArgs& args);
void attention_pool_backward(Context& context, const ops::AttentionPoolBackwardArgs& args);

}  // namespace strandline::cuda
