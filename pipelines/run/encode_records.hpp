// The corridor of inference: a file's records through the encoder, to whoever writes results.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "core/model/classifier.hpp"
#include "io/dna/sequence_stream.hpp"
#include "pipelines/batch/weighted_mean.hpp"
#include "pipelines/dna/dna_record.hpp"
#include "pipelines/dna/read_filter.hpp"
#include "pipelines/dna/shard.hpp"
#include "pipelines/dna/windows.hpp"
#include "pipelines/run/memory_plan.hpp"
#include "pipelines/run/record_encoder.hpp"

namespace strandline {

struct EncodeOptions {
  std::string input = "-";
  ReadOptions read;
  WindowOptions windows;
  ReadFilter filter;
  Shard shard;
  std::int64_t batch_tokens = 1 << 14;  ///< tokens that go through the encoder at once; never changes a result
  std::int64_t memory_bytes = 0;        ///< what the run may take; 0: what is free now
  std::int64_t have_bytes = 0;          ///< what there was before the model was there; 0: to be asked for
};

/// The most that one batch of the encoder may hold, a record that is longer than a batch apart.
BatchShape largest_batch(const EncodeOptions& options);

struct EncodeProgress {
  std::int64_t records = 0;
  std::int64_t bases = 0;
  std::int64_t windows = 0;
  // Where the time of the thread that encodes went.
  double reader_seconds = 0.0;   ///< waiting for records
  double encoder_seconds = 0.0;  ///< in the encoder
  double writer_seconds = 0.0;   ///< waiting for the results before to be written
  /// The plan's device_bytes for the largest batch so far.
  std::int64_t planned_bytes = 0;
};

/// How a long run hears and is heard. All may be empty.
struct RunControl {
  std::stop_token stop;
  std::function<void(const EncodeProgress&)> progress;
  /// Told what a record will take that needs more memory than was planned for a batch.
  std::function<void(const std::string&)> say{};
};

/// What one run is made of, beside its options.
struct EncodeJob {
  SequenceStream& stream;
  Classifier& classifier;
  RowKind rows = RowKind::probabilities;
  bool keep_text = false;  ///< records carry their bases and qualities
};

/// Takes a record and the weighted mean of the rows of its windows (by their A, C, G and T bases); mean.rows() is 0 for
/// a record with a note.
using RecordSink = std::function<void(DnaRecord record, WeightedMean& mean)>;

/// Calls `sink` once for every record of the shard, in input order, in a thread of its own. Reading, encoding and
/// writing overlap, each in one thread; results do not depend on their speed, nor on options.batch_tokens. Memory is
/// constant in the number of records, and in their length when there are windows or a causal encoder.
/// @throws MemoryError before any work when a batch of batch_tokens (or one window) does not fit, or at the first
/// record that does not; InterruptedError when asked to stop; what reading and `sink` throw.
EncodeProgress encode_records(const EncodeJob& job, const EncodeOptions& options, const RunControl& control,
                              const RecordSink& sink);

}  // namespace strandline
