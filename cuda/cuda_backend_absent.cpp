// Linked instead of the real back end when CUDA is not built in, so that no caller needs an #ifdef.
#include "core/base/error.hpp"
#include "cuda/cuda_backend.hpp"

namespace strandline {

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions&) {
  throw UnavailableError(
      "this strandline was built without CUDA. Use --device cpu, or build with the CUDA Toolkit installed");
}

std::string cuda_build_version() { return {}; }

}  // namespace strandline
