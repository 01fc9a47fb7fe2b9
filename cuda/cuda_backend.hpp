// The GPU back end, as seen by everything outside cuda/.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

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

/// "13.0", or "" when built without CUDA.
std::string cuda_build_version();

}  // namespace strandline
