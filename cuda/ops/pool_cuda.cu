#include "cuda/ops/pool_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void pool(Context&, const ops::PoolArgs&) { throw UnavailableError("pool: not on the GPU yet"); }
void pool_backward(Context&, const ops::PoolBackwardArgs&) {
  throw UnavailableError("pool_backward: not on the GPU yet");
}
void attention_pool(Context&, const ops::AttentionPoolArgs&) {
  throw UnavailableError("attention_pool: not on the GPU yet");
}
void attention_pool_backward(Context&, const ops::AttentionPoolBackwardArgs&) {
  throw UnavailableError("attention_pool_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
