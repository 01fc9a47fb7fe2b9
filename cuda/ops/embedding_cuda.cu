#include "cuda/ops/embedding_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void embedding(Context&, const ops::EmbeddingArgs&) { throw UnavailableError("embedding: not on the GPU yet"); }
void embedding_backward(Context&, const ops::EmbeddingBackwardArgs&) {
  throw UnavailableError("embedding_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
