// Linked instead of the real back end when CUDA is not built in, so that no caller needs an #ifdef.
#include "core/base/error.hpp"
#include "cuda/cuda_backend.hpp"

namespace strandline {

namespace {

constexpr const char* kAbsent =
    "this strandline was built without CUDA. Use --device cpu, or build with the CUDA Toolkit installed";

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions&) { throw UnavailableError(kAbsent); }

std::vector<CudaDevice> list_cuda_devices() { throw UnavailableError(kAbsent); }

std::string cuda_driver_version() { return {}; }

std::string cuda_build_version() { return {}; }

}  // namespace strandline
