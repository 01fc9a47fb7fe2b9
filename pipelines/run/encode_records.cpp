#include "pipelines/run/encode_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/system_memory.hpp"
#include "pipelines/dna/record_batcher.hpp"
#include "pipelines/run/memory_plan.hpp"
#include "pipelines/stages/sink_stage.hpp"
#include "pipelines/stages/source_stage.hpp"

namespace strandline {
namespace {

// One batch in work and one ready on either side keep all three threads busy; more would only cost memory.
constexpr std::size_t kBatchesAhead = 2;

struct MemoryBudget {
  MemoryPlan plan;
  std::int64_t have_bytes = 0;
};

MemoryBudget plan_memory(const EncodeJob& job, const EncodeOptions& options) {
  const std::int64_t have = options.memory_bytes > 0 ? options.memory_bytes : available_memory_bytes();
  return {plan_inference(job.classifier.config(), job.classifier.encoder().options()), have};
}

void refuse_batch(const MemoryBudget& memory, const EncodeOptions& options, std::int64_t tokens) {
  const bool window = options.windows.window > options.batch_tokens;
  throw MemoryError(fmt::format("{} {} bases needs {}, but there is {}. Use a smaller {}, or give more with --memory",
                                window ? "a window of" : "a batch of", tokens, format_bytes(memory.plan.bytes(tokens)),
                                format_bytes(memory.have_bytes), window ? "--window" : "--batch-tokens"));
}

void refuse_record(const MemoryBudget& memory, const std::string& name, std::int64_t bases) {
  throw MemoryError(
      fmt::format("record '{}' of {} bases as one sequence needs {}, but there is {}. Cut it with --window, "
                  "or give more with --memory",
                  name, bases, format_bytes(memory.plan.bytes(bases)), format_bytes(memory.have_bytes)));
}

RecordBatcherOptions batcher_options(const EncodeJob& job, const EncodeOptions& options, bool takes_pieces) {
  RecordBatcherOptions batcher;
  batcher.windows = options.windows;
  batcher.filter = options.filter;
  batcher.pack.tokens = options.batch_tokens;
  batcher.pieces = takes_pieces;
  batcher.keep_text = job.keep_text;
  batcher.shard = options.shard;
  return batcher;
}

std::int64_t bases_in(const DnaBatch& batch) {
  std::int64_t bases = 0;
  for (const auto& end : batch.ends) bases += end.record.counts.length;
  return bases;
}

void throw_if_stopped(const RunControl& control) {
  if (control.stop.stop_requested()) throw InterruptedError("interrupted: no result was written. Run it again");
}

// Runs `work`; true when a row for each of its sequences is in `rows`.
bool encode(RecordEncoder& encoder, const EncodeWork& work, std::vector<double>& rows) {
  switch (work.kind) {
    case EncodeWork::Kind::batch: rows = encoder.encode(work.batch.packed); return true;
    case EncodeWork::Kind::piece: encoder.push(work.piece); return false;
    case EncodeWork::Kind::last_piece: rows = encoder.finish(); return true;
  }
  return false;
}

}  // namespace

EncodeProgress encode_records(const EncodeJob& job, const EncodeOptions& options, const RunControl& control,
                              const RecordSink& sink) {
  const MemoryBudget memory = plan_memory(job, options);
  const std::int64_t largest = std::max(options.batch_tokens, options.windows.window);
  if (memory.plan.max_tokens(memory.have_bytes) < largest) refuse_batch(memory, options, largest);

  RecordEncoder encoder(job.classifier, job.rows);
  RecordBatcherOptions batching = batcher_options(job, options, encoder.takes_pieces());
  batching.max_sequence = memory.plan.max_tokens(memory.have_bytes);
  batching.refuse = [&](const std::string& name, std::int64_t bases) { refuse_record(memory, name, bases); };
  if (!options.shard.is_whole()) batching.total_bases = count_bases(options.input, options.read, control.stop);

  DnaUnpacker unpacker(encoder.width());
  SinkStage<EncodedDnaBatch> results(kBatchesAhead,
                                     [&](EncodedDnaBatch encoded) { unpacker.add(std::move(encoded), sink); });
  SourceStage<EncodeWork> source(kBatchesAhead, [&](const SourceStage<EncodeWork>::Emit& emit) {
    RecordBatcher(job.stream, batching, emit).run();
  });
  EncodeProgress progress;
  std::vector<double> rows;
  while (std::optional<EncodeWork> work = source.next()) {
    throw_if_stopped(control);
    if (!encode(encoder, *work, rows)) continue;
    progress.records += std::ssize(work->batch.ends);
    progress.bases += bases_in(work->batch);
    progress.windows += std::ssize(work->batch.weights);
    results.push({std::move(work->batch), std::move(rows)});
    if (control.progress) control.progress(progress);
  }
  results.finish();
  // The end of the input may itself come from the interruption, when the program that feeds us got the same signal.
  throw_if_stopped(control);
  return progress;
}

}  // namespace strandline
