// A tensor that owns its memory. Densely packed, movable, not copyable.
#pragma once

#include "core/tensor/memory.hpp"
#include "core/tensor/view.hpp"

namespace strandline {

class Buffer {
 public:
  Buffer() = default;
  /// Content undefined. `memory` must outlive the buffer. @throws MemoryError, ContractError on sizes that wrap.
  Buffer(Memory& memory, DType dtype, const Shape& shape);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  explicit operator bool() const { return memory_ != nullptr; }
  View view() const { return view_; }
  const Shape& shape() const { return view_.shape(); }
  std::size_t size_bytes() const { return size_bytes_; }
  void zero();
  /// Host data of the same element type and size_bytes() bytes.
  void upload(const void* from_host);
  void download(void* to_host) const;

 private:
  Memory* memory_ = nullptr;
  std::size_t size_bytes_ = 0;
  View view_{};
};

}  // namespace strandline
