#include "core/tensor/memory.hpp"

#include <cstring>
#include <new>
#include <string>

#include "core/base/error.hpp"

namespace strandline {
namespace {
constexpr std::align_val_t kAlignment{64};
// More than any processor can address: refused here, because allocators under a sanitizer abort on it.
constexpr std::size_t kAddressableBytes = std::size_t{1} << 56;
}  // namespace

void* HostMemory::allocate(std::size_t size_bytes) {
  void* data = size_bytes < kAddressableBytes ? ::operator new(size_bytes, kAlignment, std::nothrow) : nullptr;
  if (data == nullptr) {
    throw MemoryError("not enough memory: " + std::to_string(size_bytes) +
                      " bytes were asked for. Use a smaller --batch-tokens or --segment");
  }
  return data;
}

void HostMemory::deallocate(void* data, std::size_t) noexcept { ::operator delete(data, kAlignment); }

void HostMemory::upload(void* to, const void* from_host, std::size_t size_bytes) { copy(to, from_host, size_bytes); }

void HostMemory::download(void* to_host, const void* from, std::size_t size_bytes) { copy(to_host, from, size_bytes); }

void HostMemory::copy(void* to, const void* from, std::size_t size_bytes) {
  if (size_bytes > 0) std::memcpy(to, from, size_bytes);
}

void HostMemory::zero(void* to, std::size_t size_bytes) {
  if (size_bytes > 0) std::memset(to, 0, size_bytes);
}

}  // namespace strandline
