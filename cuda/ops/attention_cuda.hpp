// The operations of core/ops/attention.hpp on the GPU.
#pragma once

#include "core/ops/attention.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void attention(Context& context, const ops::AttentionArgs& args);
void attention_backward(Context& context, const ops::AttentionBackwardArgs& args);
void softmax(Context& context, const ops::SoftmaxArgs& args);
void softmax_backward(Context& context, const ops::SoftmaxBackwardArgs& args);

}  // namespace strandline::cuda
