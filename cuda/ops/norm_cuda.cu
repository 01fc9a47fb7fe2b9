#include "cuda/ops/norm_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void rms_norm(Context&, const ops::RmsNormArgs&) { throw UnavailableError("rms_norm: not on the GPU yet"); }
void rms_norm_backward(Context&, const ops::RmsNormBackwardArgs&) {
  throw UnavailableError("rms_norm_backward: not on the GPU yet");
}
void gated_rms_norm(Context&, const ops::GatedRmsNormArgs&) {
  throw UnavailableError("gated_rms_norm: not on the GPU yet");
}
void gated_rms_norm_backward(Context&, const ops::GatedRmsNormBackwardArgs&) {
  throw UnavailableError("gated_rms_norm_backward: not on the GPU yet");
}

}  // namespace strandline::cuda
