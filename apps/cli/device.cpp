#include "apps/cli/device.hpp"

#include <charconv>

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

}  // namespace

void add_device_options(CLI::App& command, DeviceOptions& options) {
  command.add_option("--device", options.device, "Where to compute: auto, cpu, cuda or cuda:<index>")
      ->check(check_device)
      ->type_name("DEVICE")
      ->capture_default_str();
  command.add_option("-t,--threads", options.threads, "Threads; 0: all that this process may use")
      ->check(CLI::Range(0, 4096))
      ->type_name("N")
      ->capture_default_str();
}

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  if (const int index = cuda_index_of(options.device); index >= 0) return make_cuda_backend({.device_index = index});
  if (options.device == "auto") {
    try {
      return make_cuda_backend({});
    } catch (const UnavailableError&) {
      // No GPU is the ordinary case of "auto".
    }
  }
  return make_cpu(options);
}

int resolved_threads(const DeviceOptions& options) {
  return options.threads > 0 ? options.threads : available_threads();
}

}  // namespace strandline
