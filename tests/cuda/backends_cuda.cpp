#include "cuda/cuda_backend.hpp"
#include "tests/core/backends.hpp"
#include "tests/fixture/gpu.hpp"

namespace strandline::testing {

std::vector<BackendCase> backend_cases() {
  const auto why_not = [] { return test::why_no_gpu(); };
  return {{"Cuda", [] { return make_cuda_backend({}); }, why_not, test::gpu_is_required()},
          {"CudaBf16", [] { return make_cuda_backend({.dtype = DType::bf16}); }, why_not, test::gpu_is_required()}};
}

}  // namespace strandline::testing
