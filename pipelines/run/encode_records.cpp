#include "pipelines/run/encode_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/system_memory.hpp"
#include "pipelines/dna/record_batcher.hpp"
#include "pipelines/run/run_plan.hpp"
#include "pipelines/stages/sink_stage.hpp"
#include "pipelines/stages/source_stage.hpp"

namespace strandline {
namespace {

// One batch in work and one ready on either side keep all three threads busy; more would only cost memory.
constexpr std::size_t kBatchesAhead = 2;

struct Budget {
  MemoryPlan plan;
  std::int64_t have_bytes = 0;
};

Budget plan_memory(const EncodeJob& job, const EncodeOptions& options) {
  const Backend& backend = job.classifier.backend();
  const std::int64_t have = options.have_bytes > 0 ? options.have_bytes : have_bytes(backend, options.memory_bytes);
  return {{job.classifier.config(), job.classifier.encoder().options(), plan_target(backend)}, have};
}

void refuse_record(const Budget& memory, const std::string& name, std::int64_t bases) {
  throw MemoryError(
      fmt::format("record '{}' of {} bases as one sequence needs {}, but there is {}. Cut it with --window, "
                  "or give more with --memory",
                  name, bases, format_bytes(memory.plan.bytes(bases)), format_bytes(memory.have_bytes)));
}

// Refuses what does not fit, and takes the workspace of every batch at once: before the first, and again before a
// record that is longer than a batch.
class Room {
 public:
  Room(const Budget& memory, Classifier& classifier, const EncodeOptions& options)
      : memory_(memory), classifier_(classifier), tokens_(largest_batch(options).tokens) {
    const MemoryUse use = memory.plan.inference(largest_batch(options));
    if (memory.plan.limited_bytes(use) > memory.have_bytes) refuse_batch(options, memory.plan.limited_bytes(use));
    take(use);
  }

  void make_for(const PackedBatch& batch, const RunControl& control) {
    if (batch.tokens() <= tokens_) return;
    const MemoryUse use = memory_.plan.inference({.tokens = batch.tokens()});
    if (control.say) {
      control.say(fmt::format("memory: {} of {} for a record of {} bases",
                              format_bytes(memory_.plan.limited_bytes(use)), format_bytes(memory_.have_bytes),
                              batch.tokens()));
    }
    take(use);
    tokens_ = batch.tokens();
  }

  std::int64_t planned_bytes() const { return planned_bytes_; }

 private:
  void refuse_batch(const EncodeOptions& options, std::int64_t need) const {
    const bool window = options.windows.window > options.batch_tokens;
    throw MemoryError(fmt::format("{} {} bases needs {}, but there is {}. Use a smaller {}, or give more with --memory",
                                  window ? "a window of" : "a batch of", tokens_, format_bytes(need),
                                  format_bytes(memory_.have_bytes), window ? "--window" : "--batch-tokens"));
  }

  void take(const MemoryUse& use) {
    classifier_.encoder().workspace().reserve(use.workspace_bytes);
    classifier_.backend().reserve_scratch(use.scratch_bytes);
    planned_bytes_ = std::max(planned_bytes_, use.device_bytes);
  }

  const Budget& memory_;
  Classifier& classifier_;
  std::int64_t tokens_;
  std::int64_t planned_bytes_ = 0;
};

// Adds what passes between two calls to one counter or another.
class Stopwatch {
 public:
  void add_to(double& seconds) {
    const auto now = Clock::now();
    seconds += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

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

BatchShape largest_batch(const EncodeOptions& options) {
  const std::int64_t tokens = std::max(options.batch_tokens, options.windows.window);
  // Whole windows, and the rest of each record; without windows, a sequence of at least a base a record.
  const std::int64_t whole = options.windows.window > 0 ? tokens / options.windows.window : 0;
  return {.tokens = tokens,
          .sequences = std::min(tokens, whole + PackLimits{}.records + 1),
          .longest = options.windows.window > 0 ? options.windows.window : tokens};
}

EncodeProgress encode_records(const EncodeJob& job, const EncodeOptions& options, const RunControl& control,
                              const RecordSink& sink) {
  const Budget memory = plan_memory(job, options);
  Room room(memory, job.classifier, options);

  RecordEncoder encoder(job.classifier, job.rows);
  RecordBatcherOptions batching = batcher_options(job, options, encoder.takes_pieces());
  const bool is_whole = options.windows.window == 0 && !encoder.takes_pieces();
  if (is_whole) batching.max_sequence = memory.plan.max_tokens(memory.have_bytes);
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
  Stopwatch watch;
  while (std::optional<EncodeWork> work = source.next()) {
    watch.add_to(progress.reader_seconds);
    throw_if_stopped(control);
    room.make_for(work->batch.packed, control);
    const bool is_done = encode(encoder, *work, rows);
    watch.add_to(progress.encoder_seconds);
    progress.planned_bytes = room.planned_bytes();
    if (!is_done) continue;
    progress.records += std::ssize(work->batch.ends);
    progress.bases += bases_in(work->batch);
    progress.windows += std::ssize(work->batch.weights);
    results.push({std::move(work->batch), std::move(rows)});
    watch.add_to(progress.writer_seconds);
    if (control.progress) control.progress(progress);
  }
  watch.add_to(progress.reader_seconds);
  results.finish();
  watch.add_to(progress.writer_seconds);
  // The end of the input may itself come from the interruption, when the program that feeds us got the same signal.
  throw_if_stopped(control);
  return progress;
}

}  // namespace strandline
