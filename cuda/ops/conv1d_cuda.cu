#include "cuda/ops/conv1d_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void conv1d(Context&, const ops::Conv1dArgs&) { throw UnavailableError("conv1d: not on the GPU yet"); }
void conv1d_backward(Context&, const ops::Conv1dBackwardArgs&) {
  throw UnavailableError("conv1d_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
