#include "cuda/ops/grid_conv_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void grid_conv(Context&, const ops::GridConvArgs&) { throw UnavailableError("grid_conv: not on the GPU yet"); }
void grid_conv_backward(Context&, const ops::GridConvBackwardArgs&) {
  throw UnavailableError("grid_conv_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
