// `strandline bench`
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/bench_cases.hpp"
#include "apps/cli/bench_model.hpp"
#include "apps/cli/commands.hpp"
#include "apps/cli/device.hpp"
#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "io/bytes/output_file.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    "Examples:\n"
    "  strandline bench -t 2\n"
    "  strandline bench --only encoder --json > bench.json\n"
    "  strandline bench --model model.h5 --length 4096 --length 16384\n"
    "Every case is checked against the reference in double before it is timed. Times: median and best of the repeats.";

struct BenchArguments {
  DeviceOptions device;
  std::string only;
  std::string model;
  std::vector<std::int64_t> lengths{4096};
  int repeats = 7;
  bool json = false;
};

struct Timing {
  double error = 0.0;
  double median_s = 0.0;
  double best_s = 0.0;
  double tokens_per_s = 0.0;
  double gflop_per_s = 0.0;  ///< 0: not counted
};

Timing measure(const BenchCase& bench, Backend& backend, int repeats) {
  using Clock = std::chrono::steady_clock;
  Timing timing;
  timing.error = bench.error(backend);
  if (!(timing.error <= bench.error_bound)) {
    throw NumericError(fmt::format("bench: {} ({}) is off by {:.2g} of its largest value, allowed {:.0e}", bench.name,
                                   bench.shape, timing.error, bench.error_bound));
  }
  const BenchRun run = bench.open(backend);
  run.work();  // first touch of the memory
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    run.work();
    backend.synchronize();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  timing.best_s = seconds.front();
  timing.median_s = seconds[seconds.size() / 2];
  timing.tokens_per_s = run.tokens / timing.median_s;
  timing.gflop_per_s = run.flop / timing.median_s * 1e-9;
  return timing;
}

Json as_json(const BenchCase& bench, const Timing& timing) {
  return {{"case", bench.name},
          {"shape", bench.shape},
          {"error", timing.error},
          {"median_s", timing.median_s},
          {"best_s", timing.best_s},
          {"tokens_per_s", timing.tokens_per_s},
          {"gflop_per_s", timing.gflop_per_s}};
}

std::string as_row(const BenchCase& bench, const Timing& timing) {
  return fmt::format("{:<14} {:<48} {:>9.1e} {:>10.2f} {:>10.2f} {:>12.0f} {:>8}\n", bench.name, bench.shape,
                     timing.error, timing.median_s * 1e3, timing.best_s * 1e3, timing.tokens_per_s,
                     timing.gflop_per_s > 0.0 ? fmt::format("{:.1f}", timing.gflop_per_s) : "-");
}

void run(const BenchArguments& arguments, const Program& program) {
  const auto backend = make_backend(arguments.device);
  OutputFile output("-");
  Json rows = Json::array();
  const std::string isa(name_of(best_cpu_isa()));
  if (!arguments.json) {
    output.write(fmt::format("{}, {} threads, {}\n{:<14} {:<48} {:>9} {:>10} {:>10} {:>12} {:>8}\n", backend->name(),
                             resolved_threads(arguments.device), isa, "case", "shape", "error", "median ms", "best ms",
                             "tokens/s", "GFLOP/s"));
  }
  const std::vector<BenchCase> cases =
      arguments.model.empty() ? bench_cases() : model_file_cases(arguments.model, arguments.lengths);
  for (const BenchCase& bench : cases) {
    if (program.stop.stop_requested()) throw InterruptedError("interrupted");
    if (bench.name.find(arguments.only) == std::string::npos) continue;
    const Timing timing = measure(bench, *backend, arguments.repeats);
    if (arguments.json) {
      rows.push_back(as_json(bench, timing));
    } else {
      output.write(as_row(bench, timing));
    }
  }
  if (arguments.json) {
    output.write(Json{{"version", kVersion},
                      {"backend", backend->name()},
                      {"threads", resolved_threads(arguments.device)},
                      {"cpu_instructions", isa},
                      {"repeats", arguments.repeats},
                      {"cases", rows}}
                     .dump(2) +
                 "\n");
  }
  output.commit();
}

}  // namespace

void add_bench(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("bench", "Check and time the operations and the encoder on this machine");
  const auto arguments = std::make_shared<BenchArguments>();
  add_device_options(*command, arguments->device);
  command->add_option("--only", arguments->only, "Only cases whose name has this in it")->type_name("TEXT");
  CLI::Option* model = command->add_option("--model", arguments->model, "Time a model file of yours instead");
  model->type_name("MODEL");
  command->add_option("--length", arguments->lengths, "Tokens of the one sequence that goes through --model")
      ->needs(model)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 28))
      ->type_name("N ...")
      ->capture_default_str();
  command->add_option("--repeats", arguments->repeats, "Timed runs of each case")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(kExamples);
  command->callback([arguments, &program] { run(*arguments, program); });
}

}  // namespace strandline
