// The GPU back end, as seen by everything outside cuda/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.hpp"

namespace strandline {

struct CudaOptions {
  int device_index = 0;
  DType dtype = DType::f32;            ///< storage of activations: f32 or bf16; sums, weights and states are f32
  std::size_t memory_limit_bytes = 0;  ///< the most that is taken from the card; 0: what it has
};

/// One stream; results have the same bits from run to run on the same kind of card.
/// @throws UnavailableError when built without CUDA, or when there is no usable device.
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options);

/// A card, as the driver describes it.
struct CudaDevice {
  int index = 0;
  std::string name{};
  int compute_capability = 0;  ///< 90 for 9.0
  int multiprocessors = 0;
  std::int64_t total_bytes = 0;
  std::int64_t free_bytes = 0;  ///< now; 0 when the card does not say
};

/// @throws UnavailableError saying why none can be used: built without CUDA, no driver, an old one, no card;
/// DeviceError when the driver fails.
std::vector<CudaDevice> list_cuda_devices();

/// The newest CUDA that the driver serves, as "13.0"; "" without a driver, or when built without CUDA.
std::string cuda_driver_version();

/// "13.0", or "" when built without CUDA.
std::string cuda_build_version();

}  // namespace strandline
