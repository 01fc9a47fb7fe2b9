// Who allocates. One Memory per device; buffers and workspaces take from it.
#pragma once

#include <cstddef>

#include "core/tensor/view.hpp"

namespace strandline {

class Memory {
 public:
  virtual ~Memory() = default;
  virtual Device device() const noexcept = 0;
  /// At least 64-byte aligned; content undefined. @throws MemoryError with need and cure.
  virtual void* allocate(std::size_t size_bytes) = 0;
  virtual void deallocate(void* data, std::size_t size_bytes) noexcept = 0;
  /// Host to device, complete on return.
  virtual void upload(void* to, const void* from_host, std::size_t size_bytes) = 0;
  /// Device to host, complete on return.
  virtual void download(void* to_host, const void* from, std::size_t size_bytes) = 0;
  /// copy and zero take place in order with the work that the back end of this memory has enqueued.
  virtual void copy(void* to, const void* from, std::size_t size_bytes) = 0;
  virtual void zero(void* to, std::size_t size_bytes) = 0;
  /// Returns to the system what is held for later and in no use now.
  virtual void release_unused() {}
};

/// Memory of this process. Stateless: any two are interchangeable, and it may be used from several threads.
class HostMemory final : public Memory {
 public:
  Device device() const noexcept override { return {}; }
  void* allocate(std::size_t size_bytes) override;
  void deallocate(void* data, std::size_t size_bytes) noexcept override;
  void upload(void* to, const void* from_host, std::size_t size_bytes) override;
  void download(void* to_host, const void* from, std::size_t size_bytes) override;
  void copy(void* to, const void* from, std::size_t size_bytes) override;
  void zero(void* to, std::size_t size_bytes) override;
};

}  // namespace strandline
