#include "apps/cli/encode_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "pipelines/run/run_plan.hpp"

namespace strandline {
namespace {

std::string check_shard(const std::string& text) {
  try {
    static_cast<void>(parse_shard(text));
    return {};
  } catch (const ContractError& error) {
    return error.what();
  }
}

void add_filters(CLI::App& command, EncodeOptions& encode) {
  const std::string group = "Which records";
  ReadOptions& read = encode.read;
  command.add_option("--min-length", encode.filter.min_length, "Shorter records get no result")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--max-n-fraction", encode.filter.max_n_fraction,
                  "Records with more that is not A, C, G or T get none")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--reference", read.reference, "FASTA that a CRAM was made with; never fetched from the network")
      ->type_name("FASTA")
      ->group(group);
  command.add_option("-f,--require-flags", read.require_flags, "Only alignments with all of these flags")
      ->type_name("FLAGS")
      ->group(group);
  command
      .add_option("-F,--exclude-flags", read.exclude_flags,
                  "No alignments with any of these flags (0x900: secondary, supplementary)")
      ->type_name("FLAGS")
      ->capture_default_str()
      ->group(group);
  command.add_option("-q,--min-mapq", read.min_mapq, "Only alignments of at least this mapping quality")
      ->check(CLI::Range(0, 255))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("-r,--region", read.regions,
                  "Only alignments here: contig or contig:begin-end, 1-based; needs an index")
      ->type_name("REGION")
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("-L,--bed", read.bed_file, "Only alignments that overlap an interval of this BED file")
      ->type_name("BED")
      ->group(group);
  command.add_flag("--allow-truncated", read.allow_truncated, "Accept a BAM, CRAM or BGZF file without its end marker")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--shard", [&encode](const std::string& text) { encode.shard = parse_shard(text); },
          "Only part i of n; the parts' tables concatenate to the whole's")
      ->check(check_shard)
      ->type_name("i/n")
      ->group(group);
}

void add_computing(CLI::App& command, EncodeArguments& arguments) {
  add_device_options(command, arguments.device);
  add_segment_option(command, arguments.device);
  arguments.batch_tokens_given =
      command
          .add_option("--batch-tokens", arguments.encode.batch_tokens,
                      "Bases that go through the encoder at once; never changes a result; up to 1048576 on a GPU")
          ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
          ->type_name("N")
          ->capture_default_str();
}

}  // namespace

void add_encode_arguments(CLI::App& command, EncodeArguments& arguments) {
  command
      .add_option("reads", arguments.encode.input,
                  "FASTA, FASTQ, SAM, BAM or CRAM, compressed or not; - for standard input")
      ->required()
      ->type_name("FILE");
  command.add_option("-m,--model", arguments.model, "Model file, from 'dna train' or 'model import'")
      ->required()
      ->type_name("MODEL");
  add_filters(command, arguments.encode);
  add_computing(command, arguments);
  command.add_flag("--quiet", arguments.quiet, "Say nothing but errors");
}

void add_window_arguments(CLI::App& command, const std::string& window_help, WindowOptions& windows) {
  command.add_option("--window", windows.window, window_help)->check(CLI::NonNegativeNumber)->type_name("BASES");
  command.add_option("--stride", windows.stride, "Bases from one window's begin to the next's; default: the window")
      ->check(CLI::PositiveNumber)
      ->type_name("BASES");
}

void check_encode_arguments(EncodeArguments& arguments) {
  if (!arguments.encode.shard.is_whole() && arguments.encode.input == "-") {
    throw CLI::ValidationError("--shard", "standard input cannot be read twice; write it to a file first");
  }
  // Decompression is a small part of the work beside the encoder.
  arguments.encode.read.decode_threads = std::clamp(resolved_threads(arguments.device) / 4, 1, 4);
}

namespace {

constexpr std::int64_t kCardBatchTokens = std::int64_t{1} << 20;

RunPlan plan_encoding(const StoredModel& model, const Backend& backend, const DeviceOptions& device,
                      const EncodeOptions& encode) {
  const bool window = encode.windows.window > encode.batch_tokens;
  return plan_run(model.config, backend,
                  {.inference = largest_batch(encode),
                   .segment_tokens = device.segment_tokens,
                   .memory_bytes = device.memory_bytes,
                   .cure = window ? "Use a smaller --window" : "Use a smaller --batch-tokens"});
}

// As many tokens at once as fit: a card wants much work at a time.
RunPlan plan_with_batch(const StoredModel& model, const Backend& backend, const EncodeArguments& arguments,
                        EncodeOptions& encode) {
  const bool is_free = arguments.batch_tokens_given->count() == 0 && backend.device_memory().has_value();
  const std::int64_t smallest = encode.batch_tokens;
  if (is_free) encode.batch_tokens = kCardBatchTokens;
  while (true) {
    try {
      return plan_encoding(model, backend, arguments.device, encode);
    } catch (const MemoryError&) {
      if (!is_free || encode.batch_tokens <= smallest) throw;
      encode.batch_tokens /= 2;
    }
  }
}

}  // namespace

LoadedClassifier place_model(StoredModel model, Backend& backend, const EncodeArguments& arguments,
                             EncodeOptions& encode, Progress& progress) {
  encode.memory_bytes = arguments.device.memory_bytes;
  const RunPlan plan = plan_with_batch(model, backend, arguments, encode);
  encode.have_bytes = plan.have_bytes;
  progress.say(describe_backend(backend, arguments.device));
  progress.say(describe(plan));
  return make_classifier(std::move(model), backend, plan.encoder);
}

std::string describe(const EncodeProgress& progress, double seconds) {
  const double megabases = static_cast<double>(progress.bases) * 1e-6;
  return fmt::format("{} records, {:.1f} Mb, {:.2f} Mb/s", progress.records, megabases,
                     seconds > 0.0 ? megabases / seconds : 0.0);
}

std::string describe_costs(const EncodeProgress& progress, const Backend& backend) {
  std::string text =
      fmt::format("{:.1f} s waiting for the reader, {:.1f} s in the encoder, {:.1f} s waiting for the writer",
                  progress.reader_seconds, progress.encoder_seconds, progress.writer_seconds);
  if (const auto memory = backend.device_memory()) {
    constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
    text += fmt::format("; device memory: plan {:.2f} GiB, held {:.2f} GiB",
                        static_cast<double>(progress.planned_bytes) / kGibibyte,
                        static_cast<double>(memory->peak_bytes) / kGibibyte);
  }
  return text;
}

}  // namespace strandline
