#include "cuda/ops/attention_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void attention(Context&, const ops::AttentionArgs&) { throw UnavailableError("attention: not on the GPU yet"); }
void attention_backward(Context&, const ops::AttentionBackwardArgs&) {
  throw UnavailableError("attention_backward: not on the GPU yet");
}
void softmax(Context&, const ops::SoftmaxArgs&) { throw UnavailableError("softmax: not on the GPU yet"); }
void softmax_backward(Context&, const ops::SoftmaxBackwardArgs&) {
  throw UnavailableError("softmax_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
