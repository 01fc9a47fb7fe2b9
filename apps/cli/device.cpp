#include "apps/cli/device.hpp"

#include <fmt/format.h>

#include <CLI/Error.hpp>
#include <CLI/Validators.hpp>
#include <charconv>
#include <map>

#include "core/base/error.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "cuda/cuda_backend.hpp"

namespace strandline {
namespace {

constexpr std::string_view kCudaPrefix = "cuda:";

// The index in "cuda:3", 0 for "cuda", -1 for what is not a CUDA device.
int cuda_index_of(std::string_view device) {
  if (device == "cuda") return 0;
  if (!device.starts_with(kCudaPrefix)) return -1;
  const std::string_view digits = device.substr(kCudaPrefix.size());
  int index = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  return error == std::errc{} && end == digits.data() + digits.size() ? index : -1;
}

std::string check_device(const std::string& device) {
  if (device == "auto" || device == "cpu" || cuda_index_of(device) >= 0) return {};
  return "'" + device + "' is not a device; use auto, cpu, cuda or cuda:0, cuda:1, ...";
}

std::unique_ptr<Backend> make_cpu(const DeviceOptions& options) {
  CpuOptions cpu;
  cpu.threads = options.threads;
  return make_cpu_backend(cpu);
}

CudaOptions cuda_options(const DeviceOptions& options, int index) {
  return {.device_index = index,
          .dtype = options.precision,
          .memory_limit_bytes = static_cast<std::size_t>(options.memory_bytes)};
}

std::unique_ptr<Backend> make_any(const DeviceOptions& options) {
  try {
    return make_cuda_backend(cuda_options(options, 0));
  } catch (const UnavailableError& error) {
    // No GPU is the ordinary case of "auto".
    if (options.precision == DType::f32) return make_cpu(options);
    throw UnavailableError(std::string("--precision bf16 needs a GPU: ") + error.what() + " with --precision fp32");
  }
}

}  // namespace

void add_device_options(CLI::App& command, DeviceOptions& options) {
  const std::map<std::string, DType> precisions{{"fp32", DType::f32}, {"bf16", DType::bf16}};
  command.add_option("--device", options.device, "Where to compute: auto, cpu, cuda or cuda:<index>")
      ->check(check_device)
      ->type_name("DEVICE")
      ->capture_default_str();
  command
      .add_option("--precision", options.precision,
                  "Of what passes between operations; sums and weights are fp32. bf16: GPU only, half the memory")
      ->transform(CLI::CheckedTransformer(precisions, CLI::ignore_case).description(""))
      ->type_name("fp32|bf16")
      ->default_str("fp32");
  command
      .add_option("--memory", options.memory_bytes,
                  "What the run may take of the device, as 512M or 40G; default: what is free")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  command.add_option("-t,--threads", options.threads, "Threads; 0: all that this process may use")
      ->check(CLI::Range(0, 4096))
      ->type_name("N")
      ->capture_default_str();
}

void add_segment_option(CLI::App& command, DeviceOptions& options) {
  command
      .add_option("--segment", options.segment_tokens,
                  "Tokens that go through a layer at once; default: from the memory. Predictions never depend on it; "
                  "in training, sums of gradients are grouped by it")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30))
      ->type_name("TOKENS");
}

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  if (const int index = cuda_index_of(options.device); index >= 0) {
    return make_cuda_backend(cuda_options(options, index));
  }
  if (options.device == "auto") return make_any(options);
  if (options.precision != DType::f32) {
    throw CLI::ValidationError("--precision", "the CPU computes in fp32 only; bf16 needs --device cuda");
  }
  return make_cpu(options);
}

std::string describe_backend(const Backend& backend, const DeviceOptions& options) {
  if (!backend.device_memory()) {
    return fmt::format("{}, {}, {} threads", backend.name(), name_of(best_cpu_isa()), resolved_threads(options));
  }
  const char* precision = backend.dtype() == DType::bf16 ? "bf16" : "fp32";
  for (const CudaDevice& card : list_cuda_devices()) {
    if (backend.name() == fmt::format("cuda:{}", card.index)) {
      return fmt::format("{}, {}, {}", backend.name(), card.name, precision);
    }
  }
  return fmt::format("{}, {}", backend.name(), precision);
}

int resolved_threads(const DeviceOptions& options) {
  return options.threads > 0 ? options.threads : available_threads();
}

}  // namespace strandline
