// The operations of core/ops/embedding.hpp on the GPU.
#pragma once

#include "core/ops/embedding.hpp"
#include "cuda/base/context.hpp"

namespace strandline::cuda {

void embedding(Context& context, const ops::EmbeddingArgs& args);
void embedding_backward(Context& context, const ops::EmbeddingBackwardArgs& args);

}  // namespace strandline::cuda
