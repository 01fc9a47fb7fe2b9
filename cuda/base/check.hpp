// Every call into CUDA is checked here: a failed one becomes a DeviceError that says what was being done.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

#include "core/base/checked.hpp"
#include "core/base/error.hpp"

namespace strandline::cuda {

/// @throws DeviceError "what: reason" unless `status` is success. An error that the card survives is reported once: it
/// does not come up again at the next launch.
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw DeviceError(std::string(what) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")");
}

/// The device of this thread, for launches and allocations; a thread starts with device 0. It stays: going back would
/// start a device that nobody asked for.
inline void select_device(int index) {
  int current = -1;
  if (cudaGetDevice(&current) == cudaSuccess && current == index) return;
  check(cudaSetDevice(index), "select the device");
}

/// After every launch: @throws DeviceError naming the kernel when the launch was refused.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

/// Blocks along x, the only axis that is long; y and z stop at 65,535.
/// @throws ContractError naming the kernel when the card cannot take so many: refused, never cut short.
inline unsigned checked_grid(std::int64_t blocks, const char* kernel) {
  constexpr std::int64_t kLargest = 2147483647;
  if (blocks < 0 || blocks > kLargest) {
    throw ContractError(std::string(kernel) + ": " + std::to_string(blocks) +
                        " blocks do not fit in one launch (at most 2147483647). Use a smaller --segment");
  }
  return static_cast<unsigned>(blocks);
}

/// More than the 48 KB of shared memory that a block gets without asking.
template <class Kernel>
void allow_shared(Kernel* kernel, std::int64_t size_bytes, const char* name) {
  if (size_bytes <= 48 * 1024) return;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(size_bytes)), name);
}

}  // namespace strandline::cuda
