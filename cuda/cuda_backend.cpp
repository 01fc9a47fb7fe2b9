#include "cuda/cuda_backend.hpp"

#include <cuda_runtime_api.h>

#include "core/base/error.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/context.hpp"
#include "cuda/ops/activation_cuda.hpp"
#include "cuda/ops/adamw_cuda.hpp"
#include "cuda/ops/attention_cuda.hpp"
#include "cuda/ops/conv1d_cuda.hpp"
#include "cuda/ops/cross_entropy_cuda.hpp"
#include "cuda/ops/elementwise_cuda.hpp"
#include "cuda/ops/embedding_cuda.hpp"
#include "cuda/ops/grid_conv_cuda.hpp"
#include "cuda/ops/layer_norm_cuda.hpp"
#include "cuda/ops/linear_cuda.hpp"
#include "cuda/ops/norm_cuda.hpp"
#include "cuda/ops/pool_cuda.hpp"
#include "cuda/ops/pseudo_inverse_cuda.hpp"
#include "cuda/ops/ssd_scan_cuda.hpp"
#include "cuda/plans/scratch_plan.hpp"

namespace strandline {
namespace {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const CudaOptions& options)
      : dtype_(options.dtype), context_(options.device_index, options.memory_limit_bytes) {}

  std::string name() const override { return "cuda:" + std::to_string(context_.device_index()); }
  DType dtype() const override { return dtype_; }
  DType accumulate_dtype() const override { return DType::f32; }
  Memory& memory() override { return context_.memory(); }
  void synchronize() override { context_.synchronize(); }
  std::optional<DeviceMemory> device_memory() const override { return context_.memory().usage(); }
  std::int64_t scratch_bytes(const ops::OperationShape& shape) const override {
    return cuda::scratch_bytes(shape, dtype_, {.shared_bytes = context_.limits().shared_bytes});
  }
  void reserve_scratch(std::int64_t size_bytes) override { context_.scratch().reserve(size_bytes); }

  void do_linear(const ops::LinearArgs& args) override { cuda::linear(card(), args); }
  void do_linear_backward(const ops::LinearBackwardArgs& args) override { cuda::linear_backward(card(), args); }
  void do_conv1d(const ops::Conv1dArgs& args) override { cuda::conv1d(card(), args); }
  void do_conv1d_backward(const ops::Conv1dBackwardArgs& args) override { cuda::conv1d_backward(card(), args); }
  void do_ssd_scan(const ops::SsdScanArgs& args) override { cuda::ssd_scan(card(), args); }
  void do_ssd_scan_backward(const ops::SsdScanBackwardArgs& args) override { cuda::ssd_scan_backward(card(), args); }
  void do_rms_norm(const ops::RmsNormArgs& args) override { cuda::rms_norm(card(), args); }
  void do_rms_norm_backward(const ops::RmsNormBackwardArgs& args) override { cuda::rms_norm_backward(card(), args); }
  void do_gated_rms_norm(const ops::GatedRmsNormArgs& args) override { cuda::gated_rms_norm(card(), args); }
  void do_gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args) override {
    cuda::gated_rms_norm_backward(card(), args);
  }
  void do_layer_norm(const ops::LayerNormArgs& args) override { cuda::layer_norm(card(), args); }
  void do_layer_norm_backward(const ops::LayerNormBackwardArgs& args) override {
    cuda::layer_norm_backward(card(), args);
  }
  void do_activation(const ops::ActivationArgs& args) override { cuda::activation(card(), args); }
  void do_activation_backward(const ops::ActivationBackwardArgs& args) override {
    cuda::activation_backward(card(), args);
  }
  void do_attention(const ops::AttentionArgs& args) override { cuda::attention(card(), args); }
  void do_attention_backward(const ops::AttentionBackwardArgs& args) override {
    cuda::attention_backward(card(), args);
  }
  void do_softmax(const ops::SoftmaxArgs& args) override { cuda::softmax(card(), args); }
  void do_softmax_backward(const ops::SoftmaxBackwardArgs& args) override { cuda::softmax_backward(card(), args); }
  void do_pseudo_inverse(const ops::PseudoInverseArgs& args) override { cuda::pseudo_inverse(card(), args); }
  void do_pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs& args) override {
    cuda::pseudo_inverse_backward(card(), args);
  }
  void do_grid_conv(const ops::GridConvArgs& args) override { cuda::grid_conv(card(), args); }
  void do_grid_conv_backward(const ops::GridConvBackwardArgs& args) override { cuda::grid_conv_backward(card(), args); }
  void do_embedding(const ops::EmbeddingArgs& args) override { cuda::embedding(card(), args); }
  void do_embedding_backward(const ops::EmbeddingBackwardArgs& args) override {
    cuda::embedding_backward(card(), args);
  }
  void do_pool(const ops::PoolArgs& args) override { cuda::pool(card(), args); }
  void do_pool_piece(const ops::PoolPieceArgs& args) override { cuda::pool_piece(card(), args); }
  void do_pool_backward(const ops::PoolBackwardArgs& args) override { cuda::pool_backward(card(), args); }
  void do_attention_pool(const ops::AttentionPoolArgs& args) override { cuda::attention_pool(card(), args); }
  void do_attention_pool_backward(const ops::AttentionPoolBackwardArgs& args) override {
    cuda::attention_pool_backward(card(), args);
  }
  void do_cross_entropy(const ops::CrossEntropyArgs& args) override { cuda::cross_entropy(card(), args); }
  void do_dropout(const ops::DropoutArgs& args) override { cuda::dropout(card(), args); }
  void do_adamw(const ops::AdamwArgs& args) override { cuda::adamw(card(), args); }
  void do_add(ConstView x, View y) override { cuda::add(card(), x, y); }
  void do_multiply(ConstView x, View y) override { cuda::multiply(card(), x, y); }
  void do_reverse_channels(ConstView x_td, View y_td) override { cuda::reverse_channels(card(), x_td, y_td); }
  double do_sum_of_squares(ConstView x) override { return cuda::sum_of_squares(card(), x); }

 private:
  // Launches go to the device of the calling thread, and threads and other back ends change that.
  cuda::Context& card() {
    cuda::select_device(context_.device_index());
    return context_;
  }

  DType dtype_;
  mutable cuda::Context context_;  // to ask the card is no change
};

constexpr const char* kCure = ". Use --device cpu";

// No card, no driver and an old driver are ordinary: they leave the CPU. Anything else is a card that does not work.
bool is_ordinary(cudaError_t status) {
  return status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver || status == cudaErrorStubLibrary ||
         status == cudaErrorSystemDriverMismatch || status == cudaErrorCompatNotSupportedOnDevice;
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int count_devices() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status == cudaSuccess) return devices;
  cudaGetLastError();
  const std::string why = cudaGetErrorString(status);
  if (!is_ordinary(status)) throw DeviceError("the NVIDIA driver fails: " + why + kCure);
  const std::string driver = cuda_driver_version();
  throw UnavailableError("no usable NVIDIA device: " + why + " (built with CUDA " + cuda_build_version() +
                         (driver.empty() ? ", no driver" : ", the driver serves " + driver) + ")" + kCure);
}

CudaDevice describe(int index) {
  cudaDeviceProp properties{};
  cuda::check(cudaGetDeviceProperties(&properties, index), "read the properties of the device");
  CudaDevice device{.index = index,
                    .name = properties.name,
                    .compute_capability = 10 * properties.major + properties.minor,
                    .multiprocessors = properties.multiProcessorCount,
                    .total_bytes = static_cast<std::int64_t>(properties.totalGlobalMem)};
  std::size_t left = 0;
  std::size_t total = 0;
  // A card in exclusive use by another process does not say.
  if (cudaSetDevice(index) == cudaSuccess && cudaMemGetInfo(&left, &total) == cudaSuccess) {
    device.free_bytes = static_cast<std::int64_t>(left);
  } else {
    cudaGetLastError();
  }
  return device;
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
  const int devices = count_devices();
  if (options.device_index < 0 || options.device_index >= devices) {
    throw UnavailableError("there is no device cuda:" + std::to_string(options.device_index) + " (found " +
                           std::to_string(devices) + ")" + kCure);
  }
  return std::make_unique<CudaBackend>(options);
}

std::vector<CudaDevice> list_cuda_devices() {
  std::vector<CudaDevice> devices;
  const int count = count_devices();
  for (int index = 0; index < count; ++index) devices.push_back(describe(index));
  return devices;
}

std::string cuda_driver_version() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) {
    cudaGetLastError();
    return {};
  }
  return version_text(version);
}

std::string cuda_build_version() { return version_text(CUDART_VERSION); }

}  // namespace strandline
