// `strandline dna predict`
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/cli/commands.hpp"
#include "apps/cli/encode_arguments.hpp"
#include "apps/cli/progress.hpp"
#include "core/base/error.hpp"
#include "io/bytes/output_file.hpp"
#include "pipelines/run/duration.hpp"
#include "pipelines/run/predict.hpp"
#include "pipelines/run/run_manifest.hpp"

namespace strandline {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    "Examples:\n"
    "  strandline dna predict -m model.h5 contigs.fa.gz > calls.tsv\n"
    "  strandline dna predict -m model.h5 reads.bam -o calls.tsv --out-bam labelled.bam\n"
    "  samtools view -h reads.cram | strandline dna predict -m model.h5 - --classified-out 'class_{label}.fa.gz' > "
    "calls.tsv\n"
    "Long records are cut into windows of the training length; --window 0 takes each as one sequence.\n"
    "The table: seq_id, length, label, score, p_<class>..., windows, n_fraction, note. A closed pipe ends it quietly.";

struct PredictArguments {
  EncodeArguments common;
  WindowOptions windows;
  PredictOptions predict;
  std::string summary;
  const CLI::Option* window_given = nullptr;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

PredictOptions options_of(const PredictArguments& arguments, const Program& program) {
  PredictOptions options = arguments.predict;
  options.model = arguments.common.model;
  options.encode = arguments.common.encode;
  options.stride = arguments.windows.stride;
  if (arguments.window_given->count() > 0) options.window = arguments.windows.window;
  options.command_line = program.command_line;
  return options;
}

void check_windows(const PredictOptions& options, const ModelMetadata& metadata) {
  const std::int64_t window = options.window.value_or(metadata.training_window);
  if (window > 0 && options.stride > window) {
    throw CLI::ValidationError("--stride", fmt::format("{} is more than the window of {}", options.stride, window));
  }
}

Json config_of(const PredictOptions& options, const PredictSummary& summary, DType precision) {
  const EncodeOptions& encode = options.encode;
  return {{"input", encode.input},
          {"format", summary.format},
          {"window", summary.windows.window},
          {"stride", summary.windows.stride},
          {"min_length", encode.filter.min_length},
          {"max_n_fraction", encode.filter.max_n_fraction},
          {"require_flags", encode.read.require_flags},
          {"exclude_flags", encode.read.exclude_flags},
          {"min_mapq", encode.read.min_mapq},
          {"regions", encode.read.regions},
          {"bed", encode.read.bed_file},
          {"allow_truncated", encode.read.allow_truncated},
          {"shard", fmt::format("{}/{}", encode.shard.index, encode.shard.count)},
          {"batch_tokens", encode.batch_tokens},
          {"precision", name_of(precision)}};
}

Json results_of(const LoadedClassifier& model, const PredictSummary& summary, const Backend& backend) {
  const auto memory = backend.device_memory();
  Json classes = Json::object();
  for (std::size_t i = 0; i < summary.per_class.size(); ++i)
    classes[model.metadata.class_names[i]] = summary.per_class[i];
  return {{"model_hash", model.hash},
          {"records", summary.done.records},
          {"bases", summary.done.bases},
          {"windows", summary.done.windows},
          {"records_per_class", classes},
          {"records_without_label", summary.without_label},
          {"dropped_by_flag", summary.read.dropped_by_flag},
          {"dropped_by_mapq", summary.read.dropped_by_mapq},
          {"dropped_by_region", summary.read.dropped_by_region},
          {"end_marker_checked", summary.read.end_marker_checked},
          {"seconds_waiting_for_reader", summary.done.reader_seconds},
          {"seconds_in_encoder", summary.done.encoder_seconds},
          {"seconds_waiting_for_writer", summary.done.writer_seconds},
          {"device_bytes_planned", memory ? summary.done.planned_bytes : 0},
          {"device_bytes_held", memory ? memory->peak_bytes : 0}};
}

std::vector<std::pair<std::string, std::string>> outputs_of(const PredictOptions& options) {
  std::vector<std::pair<std::string, std::string>> outputs{{"table", options.output}};
  if (!options.output_bam.empty()) outputs.emplace_back("bam", options.output_bam);
  if (!options.classified_out.empty()) outputs.emplace_back("classified", options.classified_out);
  return outputs;
}

// Someone who closes our standard output has seen enough of the table, but not got the other files.
[[noreturn]] void throw_incomplete(const PredictArguments& arguments, const IoError& error) {
  for (const std::string& path : {arguments.predict.output_bam, arguments.predict.classified_out, arguments.summary}) {
    if (!path.empty() && error.error_number() == EPIPE) {
      throw IoError(path, "finish it, because standard output was closed", ECANCELED);
    }
  }
  throw error;
}

std::string describe(const PredictSummary& summary, const std::vector<std::string>& class_names, double seconds) {
  std::string text = describe(summary.done, seconds) + ", " + format_duration(seconds);
  for (std::size_t i = 0; i < class_names.size(); ++i)
    text += fmt::format("; {} {}", class_names[i], summary.per_class[i]);
  if (summary.without_label > 0) text += fmt::format("; without a label {}", summary.without_label);
  return text;
}

void run(PredictArguments& arguments, const Program& program) {
  check_encode_arguments(arguments.common);
  PredictOptions options = options_of(arguments, program);
  RunManifest manifest;
  manifest.command_line = program.command_line;
  manifest.started = utc_now();
  const auto backend = make_backend(arguments.common.device);
  StoredModel stored = load_model(options.model);
  check_windows(options, stored.metadata);
  options.encode.windows = {options.window.value_or(stored.metadata.training_window), options.stride};
  Progress progress(arguments.common.quiet);
  LoadedClassifier model = place_model(std::move(stored), *backend, arguments.common, options.encode, progress);

  const auto start = Clock::now();
  const RunControl control{program.stop,
                           [&](const EncodeProgress& done) {
                             if (progress.is_due()) progress.show(describe(done, seconds_since(start)));
                           },
                           [&](const std::string& text) { progress.say(text); }};
  PredictSummary summary;
  try {
    summary = predict(model, options, control);
  } catch (const IoError& error) {
    throw_incomplete(arguments, error);
  }
  progress.say(describe_costs(summary.done, *backend));
  progress.show(describe(summary, model.metadata.class_names, seconds_since(start)));
  if (arguments.summary.empty()) return;
  manifest.finished = utc_now();
  manifest.config_json = config_of(options, summary, backend->dtype()).dump();
  manifest.results_json = results_of(model, summary, *backend).dump();
  manifest.inputs.push_back(describe_input(options.model));
  if (options.encode.input != "-") manifest.inputs.push_back(describe_input(options.encode.input));
  manifest.outputs = outputs_of(options);
  manifest.backend = backend->name();
  manifest.threads = resolved_threads(arguments.common.device);
  write_whole_file(arguments.summary, to_json(manifest));
}

}  // namespace

void add_dna_predict(CLI::App& parent, const Program& program) {
  CLI::App* command = parent.add_subcommand("predict", "Classify every record of a file");
  const auto arguments = std::make_shared<PredictArguments>();
  add_encode_arguments(*command, arguments->common);
  add_window_arguments(*command, "Window length for long records; 0: the whole record; default: as in training",
                       arguments->windows);
  arguments->window_given = command->get_option("--window");
  PredictOptions& predict = arguments->predict;
  command->add_option("-o,--output", predict.output, "The table; - for standard output")
      ->type_name("TSV")
      ->capture_default_str();
  command
      ->add_option("--out-bam", predict.output_bam, "Copy the alignments, with tags sl (label), sp (score), sn (note)")
      ->type_name("BAM");
  command
      ->add_option("--classified-out", predict.classified_out,
                   "Copy the records, one FASTA or FASTQ per class; a path with {label}")
      ->check([](const std::string& path) {
        return path.find("{label}") == std::string::npos ? "needs {label} in the path" : std::string();
      })
      ->type_name("PATH");
  command->add_option("--summary", arguments->summary, "What was run and what came out")->type_name("JSON");
  command->footer(kExamples);
  command->callback([arguments, &program] { run(*arguments, program); });
}

}  // namespace strandline
