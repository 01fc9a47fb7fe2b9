// `strandline doctor`: what there is on this machine, and whether every operation computes what it should.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <vector>

#include "apps/cli/commands.hpp"
#include "apps/cli/device.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/cli/operation_case.hpp"
#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "cuda/cuda_backend.hpp"
#include "io/bytes/library_versions.hpp"
#include "io/bytes/output_file.hpp"
#include "io/bytes/system_memory.hpp"
#include "pipelines/run/memory_plan.hpp"

namespace strandline {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  strandline doctor\n"
    "  strandline doctor --device cuda:1\n"
    "First what is there: processor, memory, libraries, driver and cards. Then every operation, forward and backward, "
    "on "
    "every\n"
    "back end against the reference in double. Ends with 0 when all is well, else with the exit code of the first "
    "failure.";

struct DoctorArguments {
  DeviceOptions device;
};

std::string capability_of(const CudaDevice& card) {
  return fmt::format("{}.{}", card.compute_capability / 10, card.compute_capability % 10);
}

class Doctor {
 public:
  Doctor(const DoctorArguments& arguments, const Program& program)
      : arguments_(arguments), program_(program), output_("-") {}

  void run() {
    describe_host();
    describe_cards();
    examine_all();
    output_.commit();
    if (first_failure_) throw_failure();
  }

 private:
  void line(std::string_view name, const std::string& value) { output_.write(fmt::format("{:<20}{}\n", name, value)); }

  void describe_host() {
    line("strandline", kVersion);
    for (const auto& [library, version] : library_versions()) line(library, version);
    std::string isas;
    for (const CpuIsa isa : {CpuIsa::baseline, CpuIsa::avx2, CpuIsa::avx512}) {
      if (has_cpu_isa(isa)) isas += (isas.empty() ? "" : ", ") + std::string(name_of(isa));
    }
    line("CPU instructions", isas);
    line("threads", fmt::format("{} of {}", resolved_threads(arguments_.device), available_threads()));
    line("memory", format_bytes(available_memory_bytes()) + " free");
    const std::string cuda = cuda_build_version();
    line("CUDA", cuda.empty() ? "not built in" : cuda);
    const std::string driver = cuda_driver_version();
    line("NVIDIA driver", driver.empty() ? "none" : "serves CUDA " + driver);
  }

  void describe_cards() {
    try {
      for (const CudaDevice& card : list_cuda_devices()) {
        cards_.push_back(card);
        line(fmt::format("cuda:{}", card.index),
             fmt::format("{}, compute capability {}, {} multiprocessors, {}, {} free", card.name, capability_of(card),
                         card.multiprocessors, format_bytes(card.total_bytes), format_bytes(card.free_bytes)));
      }
    } catch (const UnavailableError& error) {
      line("cards", std::string("none: ") + error.what());
      if (arguments_.device.device.starts_with("cuda")) throw;
    }
  }

  void examine_all() {
    output_.write(fmt::format("\n{:<14}{:<26}{:>9} {:>9}  {}\n", "back end", "operation", "error", "allowed", ""));
    const std::string& device = arguments_.device.device;
    if (device == "auto" || device == "cpu") {
      for (const CpuIsa isa : {CpuIsa::baseline, CpuIsa::avx2, CpuIsa::avx512}) {
        if (!has_cpu_isa(isa)) continue;
        examine(fmt::format("cpu {}", name_of(isa)),
                *make_cpu_backend({.threads = arguments_.device.threads, .isa = isa}));
      }
    }
    if (device == "cpu") return;
    std::vector<std::string> names;
    if (device != "auto") names.push_back(device);
    if (device == "auto") {
      for (const CudaDevice& card : cards_) names.push_back(fmt::format("cuda:{}", card.index));
    }
    for (const std::string& name : names) {
      for (const DType precision : {DType::f32, DType::bf16}) examine_card(name, precision);
    }
  }

  void examine_card(const std::string& name, DType precision) {
    DeviceOptions device = arguments_.device;
    device.device = name;
    device.precision = precision;
    const std::string title = name + (precision == DType::bf16 ? " bf16" : " fp32");
    try {
      examine(title, *make_backend(device));
    } catch (const Error& error) {
      fail(title, "start", error);
    }
  }

  void examine(const std::string& title, Backend& backend) {
    // Not a multiple of a chunk or of a tile; more than one sequence.
    OperationSizes sizes{.tokens = 201, .encoder = {.d_model = 64, .d_state = 16, .headdim = 32}, .sequences = 3};
    std::vector<OperationCase> all = encoder_operations();
    for (OperationCase& one : other_operations()) all.push_back(std::move(one));
    for (const OperationCase& operation : all) {
      if (program_.stop.stop_requested()) throw InterruptedError("interrupted");
      try {
        check(title, operation.name, error_of(operation, backend, sizes), error_bound(backend));
      } catch (const InterruptedError&) {
        throw;
      } catch (const Error& error) {
        fail(title, operation.name, error);
        if (dynamic_cast<const DeviceError*>(&error) != nullptr) return;  // nothing works on the card after that
      }
    }
  }

  void check(const std::string& title, const std::string& operation, double error, double bound) {
    const bool is_well = error <= bound;
    output_.write(
        fmt::format("{:<14}{:<26}{:>9.1e} {:>9.0e}  {}\n", title, operation, error, bound, is_well ? "ok" : "WRONG"));
    ++checks_;
    if (is_well) return;
    ++failures_;
    if (!first_failure_) {
      first_failure_ = kExitNumeric;
      reason_ =
          fmt::format("{} on {} is off by {:.2g} of its largest value, allowed {:.0e}", operation, title, error, bound);
    }
  }

  void fail(const std::string& title, const std::string& operation, const Error& error) {
    output_.write(fmt::format("{:<14}{:<26}{:>9} {:>9}  FAILED: {}\n", title, operation, "-", "-", error.what()));
    ++checks_;
    ++failures_;
    if (!first_failure_) {
      first_failure_ = exit_code_of(error);
      reason_ = fmt::format("{} on {}: {}", operation, title, error.what());
    }
  }

  // An error of the kind that belongs to the exit code.
  [[noreturn]] void throw_failure() const {
    const std::string text = fmt::format("{} of {} checks failed; the first: {}", failures_, checks_, reason_);
    switch (*first_failure_) {
      case kExitUnavailable: throw UnavailableError(text);
      case kExitMemory: throw MemoryError(text);
      case kExitNumeric: throw NumericError(text);
      case kExitDevice: throw DeviceError(text);
      default: throw ContractError(text);
    }
  }

  const DoctorArguments& arguments_;
  const Program& program_;
  OutputFile output_;
  std::vector<CudaDevice> cards_;
  std::optional<int> first_failure_;
  std::string reason_;
  int checks_ = 0;
  int failures_ = 0;
};

}  // namespace

void add_doctor(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("doctor", "Say what this machine has, and test every operation on it");
  const auto arguments = std::make_shared<DoctorArguments>();
  add_device_options(*command, arguments->device);
  command->footer(kExamples);
  command->callback([arguments, &program] { Doctor(*arguments, program).run(); });
}

}  // namespace strandline
