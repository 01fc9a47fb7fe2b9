// Device memory: one caching allocator per device, and the copies to and from the host.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <map>
#include <unordered_map>

#include "core/backend.hpp"
#include "core/tensor/memory.hpp"

namespace strandline::cuda {

/// Two pinned buffers for copies to the card: one is filled while the other is read.
class Staging {
 public:
  static constexpr std::size_t kBytes = std::size_t{1} << 22U;

  Staging() = default;
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// The first call makes the buffers: a failure there leaks nothing, and is tried again by the next.
  void upload(void* to, const void* from_host, std::size_t size_bytes, cudaStream_t stream);

 private:
  void make();

  void* buffer_[2]{};
  cudaEvent_t is_read_[2]{};  // recorded behind the copy out of the buffer
  int next_ = 0;
};

/// Blocks that are given back are kept and handed out again: work on the one stream is in order, so a block may be
/// reused while the kernels that read it are still under way. Not thread-safe.
class CudaMemory final : public Memory {
 public:
  /// @param limit_bytes the most that is ever taken from the card; 0: what the card has.
  CudaMemory(int device_index, cudaStream_t stream, std::size_t limit_bytes);
  ~CudaMemory() override;
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  Device device() const noexcept override { return {DeviceKind::cuda, device_index_}; }
  /// 512-byte aligned. @throws MemoryError with need, have and cure.
  void* allocate(std::size_t size_bytes) override;
  void deallocate(void* data, std::size_t size_bytes) noexcept override;
  /// The host data may be changed on return; the copy itself is in order with the stream.
  void upload(void* to, const void* from_host, std::size_t size_bytes) override;
  void download(void* to_host, const void* from, std::size_t size_bytes) override;
  void copy(void* to, const void* from, std::size_t size_bytes) override;
  void zero(void* to, std::size_t size_bytes) override;

  void release_unused() override;

  DeviceMemory usage() const;
  /// Held at most at one time, by tensors and by the cache together.
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  void* take_from_cache(std::size_t size_bytes);
  void* take_from_card(std::size_t size_bytes);
  void release_cache() noexcept;
  [[noreturn]] void refuse(std::size_t size_bytes) const;

  int device_index_;
  cudaStream_t stream_;
  std::size_t limit_bytes_;
  std::size_t reserved_bytes_ = 0;
  std::size_t peak_bytes_ = 0;
  std::multimap<std::size_t, void*> free_;         // by size
  std::unordered_map<void*, std::size_t> in_use_;  // size of the block, not of the request
  Staging staging_;
};

}  // namespace strandline::cuda
