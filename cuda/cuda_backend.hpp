// The GPU back end, as seen by everything outside cuda/.
#pragma once

#include <memory>
#include <string>

#include "core/backend.hpp"

namespace strandline {

/// @throws UnavailableError when built without CUDA, or when there is no usable device.
std::unique_ptr<Backend> make_cuda_backend(int device_index);

/// "13.0", or "" when built without CUDA.
std::string cuda_build_version();

}  // namespace strandline
