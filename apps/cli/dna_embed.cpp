// `strandline dna embed`
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "apps/cli/commands.hpp"
#include "apps/cli/encode_arguments.hpp"
#include "apps/cli/progress.hpp"
#include "pipelines/run/duration.hpp"
#include "pipelines/run/embed.hpp"

namespace strandline {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  strandline dna embed -m model.h5 contigs.fa -o embeddings.h5\n"
    "  strandline dna embed -m model.h5 reads.bam -o embeddings.npy --window 4096 --stride 2048\n"
    "Each record is one sequence: a causal model takes any length in constant memory, a bidirectional one says what "
    "it\n"
    "needs. With --window, a record's vector is the mean of its windows', weighted by their A, C, G and T bases.\n"
    "HDF5: ids, embeddings (float32) and attributes; .npy: the ids go to <file>.ids.txt. No result is a row of NaN.";

struct EmbedArguments {
  EncodeArguments common;
  EmbedOptions embed;
};

void run(EmbedArguments& arguments, const Program& program) {
  using Clock = std::chrono::steady_clock;
  check_encode_arguments(arguments.common);
  EmbedOptions options = arguments.embed;
  const WindowOptions windows = options.encode.windows;
  options.encode = arguments.common.encode;
  options.encode.windows = windows;
  if (windows.stride > windows.window) throw CLI::ValidationError("--stride", "is more than --window");

  const auto backend = make_backend(arguments.common.device);
  Progress progress(arguments.common.quiet);
  LoadedClassifier model =
      place_model(load_model(arguments.common.model), *backend, arguments.common, options.encode, progress);
  const auto start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const RunControl control{program.stop,
                           [&](const EncodeProgress& done) {
                             if (progress.is_due()) progress.show(describe(done, seconds()));
                           },
                           [&](const std::string& text) { progress.say(text); }};
  const EmbedSummary summary = embed(model, options, control);
  std::string text = describe(summary.done, seconds()) + ", " + format_duration(seconds());
  if (summary.without_embedding > 0) text += fmt::format("; without an embedding {}", summary.without_embedding);
  progress.say(describe_costs(summary.done, *backend));
  progress.show(text);
}

}  // namespace

void add_dna_embed(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("embed", "One vector for every record of a file");
  const auto arguments = std::make_shared<EmbedArguments>();
  add_encode_arguments(*command, arguments->common);
  add_window_arguments(*command, "Window length; 0: the whole record as one sequence", arguments->embed.encode.windows);
  command->add_option("-o,--output", arguments->embed.output, "Where the embeddings go: HDF5, or .npy")
      ->required()
      ->check([](const std::string& path) { return path == "-" ? "cannot be standard output" : std::string(); })
      ->type_name("FILE");
  command->footer(kExamples);
  command->callback([arguments, &program] { run(*arguments, program); });
}

}  // namespace strandline
