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
#include "pipelines/run/memory_plan.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    "Examples:\n"
    "  strandline bench -t 2\n"
    "  strandline bench --only encoder --json > bench.json\n"
    "  strandline bench --device cuda --precision bf16 --shapes 768x24 --length 16K 1M\n"
    "  strandline bench --model model.h5 --length 4096 --length 16384\n"
    "Every case is checked against the reference in double before it is timed. Times: median and best of the repeats, "
    "each\n"
    "until the device is done. A case that would not fit in memory says so, and the others go on.";

constexpr std::int64_t kLongest = std::int64_t{1} << 28;

struct BenchArguments {
  DeviceOptions device;
  std::string only;
  std::string model;
  BenchOptions bench;
  int repeats = 7;
  bool json = false;
};

struct Timing {
  double error = 0.0;
  double median_s = 0.0;
  double best_s = 0.0;
  double tokens_per_s = 0.0;
  double gflop_per_s = 0.0;     ///< 0: not counted
  std::int64_t peak_bytes = 0;  ///< on the card; 0: there is none
  std::string refused{};        ///< why there are no times
};

Timing measure(const BenchCase& bench, Backend& backend, int repeats) {
  using Clock = std::chrono::steady_clock;
  Timing timing;
  timing.error = bench.error(backend);
  const double bound = bench.error_bound(backend);
  if (!(timing.error <= bound)) {
    throw NumericError(fmt::format("bench: {} ({}) is off by {:.2g} of its largest value, allowed {:.0e}", bench.name,
                                   bench.shape, timing.error, bound));
  }
  const BenchRun run = bench.open(backend);
  run.work();  // first touch of the memory
  backend.synchronize();
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
  if (const auto memory = backend.device_memory()) timing.peak_bytes = memory->peak_bytes;
  return timing;
}

// A back end for every case: what one case held is not in the peak of the next.
Timing measure_or_refuse(const BenchCase& bench, const BenchArguments& arguments) {
  const auto backend = make_backend(arguments.device);
  try {
    return measure(bench, *backend, arguments.repeats);
  } catch (const MemoryError& error) {
    return {.refused = error.what()};
  }
}

Json as_json(const BenchCase& bench, const Timing& timing) {
  Json row{{"case", bench.name}, {"shape", bench.shape}, {"tokens", bench.tokens}};
  if (!timing.refused.empty()) {
    row["refused"] = timing.refused;
    return row;
  }
  row["error"] = timing.error;
  row["median_s"] = timing.median_s;
  row["best_s"] = timing.best_s;
  row["tokens_per_s"] = timing.tokens_per_s;
  row["gflop_per_s"] = timing.gflop_per_s;
  if (timing.peak_bytes > 0) row["peak_bytes"] = timing.peak_bytes;
  return row;
}

std::string as_row(const BenchCase& bench, const Timing& timing) {
  if (!timing.refused.empty()) return fmt::format("{:<23} {:<50} {}\n", bench.name, bench.shape, timing.refused);
  return fmt::format("{:<23} {:<50} {:>8.1e} {:>10.3f} {:>10.3f} {:>12.0f} {:>9} {:>9}\n", bench.name, bench.shape,
                     timing.error, timing.median_s * 1e3, timing.best_s * 1e3, timing.tokens_per_s,
                     timing.gflop_per_s > 0.0 ? fmt::format("{:.1f}", timing.gflop_per_s) : "-",
                     timing.peak_bytes > 0 ? format_bytes(timing.peak_bytes) : "-");
}

void run(BenchArguments& arguments, const Program& program) {
  for (const std::int64_t length : arguments.bench.lengths) {
    if (length < 1 || length > kLongest) {
      throw CLI::ValidationError("--length", fmt::format("{} is not in 1 to {}", length, kLongest));
    }
  }
  arguments.bench.segment_tokens = arguments.device.segment_tokens;
  arguments.bench.memory_bytes = arguments.device.memory_bytes;
  const auto backend = make_backend(arguments.device);
  const std::string where = describe_backend(*backend, arguments.device);
  OutputFile output("-");
  Json rows = Json::array();
  if (!arguments.json) {
    output.write(fmt::format("{}\n{:<23} {:<50} {:>8} {:>10} {:>10} {:>12} {:>9} {:>9}\n", where, "case", "shape",
                             "error", "median ms", "best ms", "tokens/s", "GFLOP/s", "on card"));
  }
  const std::vector<BenchCase> cases =
      arguments.model.empty() ? bench_cases(arguments.bench) : model_file_cases(arguments.model, arguments.bench);
  for (const BenchCase& bench : cases) {
    if (program.stop.stop_requested()) throw InterruptedError("interrupted");
    if (bench.name.find(arguments.only) == std::string::npos) continue;
    const Timing timing = measure_or_refuse(bench, arguments);
    if (arguments.json) {
      rows.push_back(as_json(bench, timing));
    } else {
      output.write(as_row(bench, timing));
    }
  }
  if (arguments.json) {
    output.write(Json{{"version", kVersion},
                      {"backend", backend->name()},
                      {"device", where},
                      {"precision", name_of(backend->dtype())},
                      {"threads", resolved_threads(arguments.device)},
                      {"cpu_instructions", std::string(name_of(best_cpu_isa()))},
                      {"shapes", arguments.model.empty() ? arguments.bench.shapes : arguments.model},
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
  add_segment_option(*command, arguments->device);
  command->add_option("--only", arguments->only, "Only cases whose name has this in it")->type_name("TEXT");
  CLI::Option* model = command->add_option("--model", arguments->model, "Time a model file of yours instead");
  model->type_name("MODEL");
  command->add_option("--shapes", arguments->bench.shapes, "Widths and layers of what is timed")
      ->check(CLI::IsMember(bench_shapes()))
      ->excludes(model)
      ->capture_default_str();
  command->add_option("--d-state", arguments->bench.d_state, "Width of the state, instead of that of --shapes")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{256}))
      ->excludes(model)
      ->type_name("N");
  command
      ->add_option("--length", arguments->bench.lengths,
                   "Tokens that go through at once, as 4096, 64K or 1M; with --model, of one sequence (4096)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("N ...");
  command->add_option("--repeats", arguments->repeats, "Timed runs of each case")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(kExamples);
  command->callback([arguments, &program] { run(*arguments, program); });
}

}  // namespace strandline
