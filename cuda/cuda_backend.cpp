// The CUDA seam. It finds the device and refuses; the operations come with the GPU back end.
#include "cuda/cuda_backend.hpp"

#include <cuda_runtime_api.h>

#include "core/base/error.hpp"

namespace strandline {

std::unique_ptr<Backend> make_cuda_backend(int device_index) {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) {
    throw UnavailableError(std::string("no usable NVIDIA device: ") + cudaGetErrorString(status) +
                           ". Use --device cpu");
  }
  if (device_index < 0 || device_index >= devices) {
    throw UnavailableError("there is no device cuda:" + std::to_string(device_index) + " (found " +
                           std::to_string(devices) + "). Use --device cpu");
  }
  throw UnavailableError("the encoder does not run on cuda:" + std::to_string(device_index) +
                         " in this version. Use --device cpu");
}

std::string cuda_build_version() {
  return std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
}

}  // namespace strandline
