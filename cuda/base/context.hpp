// What every operation of the CUDA back end works with: the card, the one stream, memory, scratch and libraries.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/tensor/buffer.hpp"
#include "core/tensor/workspace.hpp"
#include "cuda/base/cuda_memory.hpp"
#include "cuda/base/matmul.hpp"

namespace strandline::cuda {

/// Read from the card, never assumed.
struct CardLimits {
  int multiprocessors = 0;
  int compute_capability = 0;     ///< 90 for 9.0
  std::int64_t shared_bytes = 0;  ///< the most that one block may ask for
};

/// Offsets of a pack's sequences in device memory, with what they were made from.
class OffsetCache {
 public:
  explicit OffsetCache(Memory& memory) : memory_(memory) {}
  /// `offsets` on the device: from an earlier call with the same numbers, or uploaded. Valid until seven other sets of
  /// offsets were asked for, on the stream's order.
  const std::int64_t* on_device(std::span<const std::int64_t> offsets);

 private:
  struct Entry {
    std::vector<std::int64_t> host;
    Buffer device;
  };
  Memory& memory_;
  std::list<Entry> entries_;  // last used first
};

/// Destroyed after everything that waits for it.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// Owns a handle of cuBLASLt.
class Blas {
 public:
  explicit Blas(cublasLtHandle_t handle) : handle_(handle) {}
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;
  operator cublasLtHandle_t() const { return handle_; }

 private:
  cublasLtHandle_t handle_;
};

/// Every use of it wants its device to be that of the calling thread: see select_device.
class Context {
 public:
  /// @throws UnavailableError, DeviceError.
  Context(int device_index, std::size_t memory_limit_bytes);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int device_index() const { return device_index_; }
  const CardLimits& limits() const { return limits_; }
  cudaStream_t stream() const { return stream_.get(); }
  CudaMemory& memory() { return memory_; }
  /// Scratch of one operation: hold a Workspace::Scope.
  Workspace& scratch() { return scratch_; }
  OffsetCache& offsets() { return offsets_; }
  Matmul& matmul() { return matmul_; }
  void synchronize();

 private:
  int device_index_;
  CardLimits limits_;
  Stream stream_;
  Blas blas_;
  CudaMemory memory_;
  Workspace scratch_;
  OffsetCache offsets_;
  Matmul matmul_;
};

}  // namespace strandline::cuda
