#include "cuda/base/cuda_memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"

namespace strandline::cuda {
namespace {

constexpr std::size_t kSmallStep = 512;
constexpr std::size_t kLargeStep = std::size_t{1} << 21U;

std::size_t block_bytes(std::size_t size_bytes) {
  const std::size_t step = size_bytes < kLargeStep ? kSmallStep : kLargeStep;
  return std::max<std::size_t>(1, (size_bytes + step - 1) / step) * step;
}

std::string gib(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f GiB", static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0));
  return text;
}

}  // namespace

void Staging::make() {
  for (int i = 0; i < 2; ++i) {
    if (buffer_[i] == nullptr) check(cudaMallocHost(&buffer_[i], kBytes), "allocate pinned host memory");
    if (is_read_[i] == nullptr) {
      check(cudaEventCreateWithFlags(&is_read_[i], cudaEventDisableTiming), "create an event");
    }
  }
}

Staging::~Staging() {
  for (int i = 0; i < 2; ++i) {
    if (is_read_[i] != nullptr) cudaEventDestroy(is_read_[i]);
    if (buffer_[i] != nullptr) cudaFreeHost(buffer_[i]);
  }
}

void Staging::upload(void* to, const void* from_host, std::size_t size_bytes, cudaStream_t stream) {
  if (size_bytes == 0) return;
  make();
  const auto* from = static_cast<const std::byte*>(from_host);
  auto* target = static_cast<std::byte*>(to);
  for (std::size_t done = 0; done < size_bytes; done += kBytes) {
    const std::size_t part = std::min(kBytes, size_bytes - done);
    const int slot = next_;
    next_ = 1 - next_;
    check(cudaEventSynchronize(is_read_[slot]), "wait for a copy to the device");
    std::memcpy(buffer_[slot], from + done, part);
    check(cudaMemcpyAsync(target + done, buffer_[slot], part, cudaMemcpyHostToDevice, stream), "copy to the device");
    check(cudaEventRecord(is_read_[slot], stream), "record an event");
  }
}

CudaMemory::CudaMemory(int device_index, cudaStream_t stream, std::size_t limit_bytes)
    : device_index_(device_index), stream_(stream), limit_bytes_(limit_bytes) {}

// A destructor cannot report: when the card has failed, the operation that saw it has said so.
CudaMemory::~CudaMemory() {
  cudaStreamSynchronize(stream_);
  release_cache();
  for (const auto& [data, size_bytes] : in_use_) cudaFree(data);
}

void* CudaMemory::allocate(std::size_t size_bytes) {
  const std::size_t wanted = block_bytes(size_bytes);
  void* data = take_from_cache(wanted);
  if (data == nullptr) data = take_from_card(wanted);
  if (data == nullptr) {
    release_unused();
    data = take_from_card(wanted);
  }
  if (data == nullptr) refuse(wanted);
  return data;
}

void CudaMemory::deallocate(void* data, std::size_t) noexcept {
  const auto found = in_use_.find(data);
  if (found == in_use_.end()) return;
  free_.emplace(found->second, data);
  in_use_.erase(found);
}

// A block that is much larger than the request stays for a request of its own size.
void* CudaMemory::take_from_cache(std::size_t size_bytes) {
  const auto found = free_.lower_bound(size_bytes);
  if (found == free_.end() || found->first > size_bytes + std::max(size_bytes / 8, kLargeStep / 4)) return nullptr;
  void* data = found->second;
  in_use_.emplace(data, found->first);
  free_.erase(found);
  return data;
}

void* CudaMemory::take_from_card(std::size_t size_bytes) {
  if (limit_bytes_ > 0 && size_bytes > limit_bytes_ - std::min(reserved_bytes_, limit_bytes_)) return nullptr;
  select_device(device_index_);
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, size_bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // reported as MemoryError, must not come up again at the next launch
    return nullptr;
  }
  check(status, "allocate device memory");
  in_use_.emplace(data, size_bytes);
  reserved_bytes_ += size_bytes;
  peak_bytes_ = std::max(peak_bytes_, reserved_bytes_);
  return data;
}

void CudaMemory::release_cache() noexcept {
  for (const auto& [size_bytes, data] : free_) {
    cudaFree(data);
    reserved_bytes_ -= size_bytes;
  }
  free_.clear();
}

void CudaMemory::release_unused() {
  if (free_.empty()) return;
  check(cudaStreamSynchronize(stream_), "wait for the device");
  release_cache();
}

DeviceMemory CudaMemory::usage() const {
  select_device(device_index_);
  std::size_t left = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&left, &total), "ask for the free memory of the device");
  std::size_t cached = 0;  // given up before anything is refused
  for (const auto& [size_bytes, data] : free_) cached += size_bytes;
  left += cached;
  if (limit_bytes_ > 0) left = std::min(left, limit_bytes_ - std::min(reserved_bytes_ - cached, limit_bytes_));
  return {.total_bytes = static_cast<std::int64_t>(total),
          .free_bytes = static_cast<std::int64_t>(left),
          .peak_bytes = static_cast<std::int64_t>(peak_bytes_),
          .step_bytes = static_cast<std::int64_t>(kLargeStep)};
}

void CudaMemory::refuse(std::size_t size_bytes) const {
  std::size_t left = 0;
  std::size_t total = 0;
  select_device(device_index_);
  if (cudaMemGetInfo(&left, &total) != cudaSuccess) cudaGetLastError();  // then what is needed has to do
  std::string have = gib(left) + " of " + gib(total) + " are free on cuda:" + std::to_string(device_index_);
  if (limit_bytes_ > 0) have += ", and --memory allows " + gib(limit_bytes_);
  const std::string larger = limit_bytes_ > 0 ? " a larger --memory," : "";
  throw MemoryError("not enough device memory: " + gib(size_bytes) + " more are needed beside " + gib(reserved_bytes_) +
                    " in use; " + have + ". Use a smaller --segment or --batch-tokens, --precision bf16," + larger +
                    " or --device cpu");
}

void CudaMemory::upload(void* to, const void* from_host, std::size_t size_bytes) {
  select_device(device_index_);
  staging_.upload(to, from_host, size_bytes, stream_);
}

void CudaMemory::download(void* to_host, const void* from, std::size_t size_bytes) {
  if (size_bytes > 0) {
    check(cudaMemcpyAsync(to_host, from, size_bytes, cudaMemcpyDeviceToHost, stream_), "copy from the device");
  }
  check(cudaStreamSynchronize(stream_), "wait for the device");
}

void CudaMemory::copy(void* to, const void* from, std::size_t size_bytes) {
  if (size_bytes == 0) return;
  check(cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToDevice, stream_), "copy on the device");
}

void CudaMemory::zero(void* to, std::size_t size_bytes) {
  if (size_bytes == 0) return;
  select_device(device_index_);
  check(cudaMemsetAsync(to, 0, size_bytes, stream_), "zero device memory");
}

}  // namespace strandline::cuda
