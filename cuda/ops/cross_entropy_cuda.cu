#include "cuda/ops/cross_entropy_cuda.hpp"

#include "core/base/error.hpp"

namespace strandline::cuda {

void cross_entropy(Context&, const ops::CrossEntropyArgs&) {
  throw UnavailableError("cross_entropy: not on the GPU yet");
}

}  // namespace strandline::cuda
