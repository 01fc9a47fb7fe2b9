#include "cuda/ops/activation_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void activation(Context&, const ops::ActivationArgs&) { throw UnavailableError("activation: not on the GPU yet"); }
void activation_backward(Context&, const ops::ActivationBackwardArgs&) {
  throw UnavailableError("activation_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
