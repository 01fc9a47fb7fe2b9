#include "cuda/ops/pseudo_inverse_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void pseudo_inverse(Context&, const ops::PseudoInverseArgs&) {
  throw UnavailableError("pseudo_inverse: not on the GPU yet");
}
void pseudo_inverse_backward(Context&, const ops::PseudoInverseBackwardArgs&) {
  throw UnavailableError("pseudo_inverse_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
