// Which instruction set the CPU kernels use. Kept apart from cpu_backend.hpp because the files compiled for one
// instruction set may include nothing that holds inline functions.
#pragma once

#include <cstdint>

namespace strandline {

enum class CpuIsa : std::uint8_t { baseline, avx2, avx512 };

}  // namespace strandline
