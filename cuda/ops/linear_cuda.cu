#include "cuda/ops/linear_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void linear(Context&, const ops::LinearArgs&) { throw UnavailableError("linear: not on the GPU yet"); }
void linear_backward(Context&, const ops::LinearBackwardArgs&) {
  throw UnavailableError("linear_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
