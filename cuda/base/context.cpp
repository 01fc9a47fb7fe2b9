#include "cuda/base/context.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "cuda/base/check.hpp"

namespace strandline::cuda {
namespace {

constexpr std::size_t kOffsetSets = 8;

CardLimits read_limits(int device_index) {
  const auto attribute = [device_index](cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device_index), "read a property of the device");
    return value;
  };
  return {.multiprocessors = attribute(cudaDevAttrMultiProcessorCount),
          .compute_capability =
              10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor),
          .shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)};
}

int selected(int device_index) {
  select_device(device_index);
  return device_index;
}

cublasLtHandle_t make_blas() {
  cublasLtHandle_t handle = nullptr;
  const cublasStatus_t status = cublasLtCreate(&handle);
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw DeviceError(std::string("cuBLASLt does not start: ") + cublasLtGetStatusString(status));
  }
  return handle;
}

}  // namespace

Stream::Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create a stream"); }

Stream::~Stream() { cudaStreamDestroy(stream_); }

Blas::~Blas() { cublasLtDestroy(handle_); }

const std::int64_t* OffsetCache::on_device(std::span<const std::int64_t> offsets) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return std::equal(entry.host.begin(), entry.host.end(), offsets.begin(), offsets.end());
  });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
  } else {
    if (entries_.size() == kOffsetSets) entries_.pop_back();
    Buffer device(memory_, DType::i64, {static_cast<std::int64_t>(offsets.size())});
    device.upload(offsets.data());
    entries_.push_front({{offsets.begin(), offsets.end()}, std::move(device)});
  }
  return static_cast<const std::int64_t*>(entries_.front().device.view().data());
}

Context::Context(int device_index, std::size_t memory_limit_bytes)
    : device_index_(selected(device_index)),
      limits_(read_limits(device_index)),
      blas_(make_blas()),
      memory_(device_index, stream_.get(), memory_limit_bytes),
      scratch_(memory_),
      offsets_(memory_),
      matmul_(blas_, stream_.get(), scratch_) {}

// The members, too, are destroyed with their device selected. A destructor cannot report.
Context::~Context() {
  cudaSetDevice(device_index_);
  cudaStreamSynchronize(stream_.get());
}

void Context::synchronize() { check(cudaStreamSynchronize(stream_.get()), "wait for the device"); }

}  // namespace strandline::cuda
