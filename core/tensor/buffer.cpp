#include "core/tensor/buffer.hpp"

#include <utility>

#include "core/base/checked.hpp"

namespace strandline {

Buffer::Buffer(Memory& memory, DType dtype, const Shape& shape) {
  const auto element_bytes = static_cast<std::int64_t>(size_of(dtype));
  size_bytes_ = static_cast<std::size_t>(checked_product(shape.elements(), element_bytes));
  view_ = View(memory.allocate(size_bytes_), dtype, shape, memory.device());
  memory_ = &memory;
}

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(view_, other.view_);
  return *this;
}

Buffer::~Buffer() {
  if (memory_ != nullptr) memory_->deallocate(view_.data(), size_bytes_);
}

void Buffer::zero() {
  if (memory_ != nullptr) memory_->zero(view_.data(), size_bytes_);
}

void Buffer::upload(const void* from_host) { memory_->upload(view_.data(), from_host, size_bytes_); }

void Buffer::download(void* to_host) const { memory_->download(to_host, view_.data(), size_bytes_); }

}  // namespace strandline
