// From a stream of records to batches for the encoder: filter, tokens, windows, packing. Runs in one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "io/dna/sequence_stream.hpp"
#include "pipelines/dna/dna_record.hpp"
#include "pipelines/dna/read_filter.hpp"
#include "pipelines/dna/shard.hpp"
#include "pipelines/dna/windows.hpp"

namespace strandline {

/// One step for the encoder.
struct EncodeWork {
  enum class Kind {
    batch,       ///< `batch`, all of it
    piece,       ///< `piece` of a sequence that is longer than a batch; the rest follows, with nothing in between
    last_piece,  ///< its end: `batch` holds its record, and no tokens
  };
  Kind kind = Kind::batch;
  DnaBatch batch;
  std::vector<std::int32_t> piece;
};

struct RecordBatcherOptions {
  WindowOptions windows;
  ReadFilter filter;
  PackLimits pack;
  bool pieces = false;     ///< whole records longer than a batch go out in pieces
  bool keep_text = false;  ///< records carry their bases and qualities
  Shard shard;
  std::int64_t total_bases = 0;  ///< of the file, for `shard`
  /// Longest sequence that may go in one batch, and what is called with a record that has a longer one, to refuse it.
  std::int64_t max_sequence = std::int64_t{1} << 40;
  std::function<void(const std::string& name, std::int64_t bases)> refuse;
};

/// Every record of the shard ends up in exactly one batch's `ends`, in input order. Windows without A, C, G or T are
/// left out; the others weigh as much as they have of these letters.
class RecordBatcher {
 public:
  using Emit = std::function<void(EncodeWork)>;

  RecordBatcher(SequenceStream& stream, const RecordBatcherOptions& options, const Emit& emit);
  /// Reads to the end of the stream, or of the shard.
  void run();

 private:
  void begin_record(const SequencePiece& piece);
  void take_piece(SequencePiece& piece);
  void take_windows(bool last);
  void take_whole(bool last);
  void add_sequence(std::span<const std::int32_t> ids);
  void send_piece(std::vector<std::int32_t> ids);
  void end_record();
  void flush();

  SequenceStream& stream_;
  const RecordBatcherOptions& options_;
  const Emit& emit_;
  WindowCutter cutter_;
  Packer<DnaRecord> packer_;
  DnaRecord record_;
  std::vector<std::int32_t> ids_;    // of the piece in work
  std::vector<std::int32_t> whole_;  // of the record, when it is one sequence
  bool in_pieces_ = false;
  bool skip_ = false;  // no window of this record is wanted
  bool too_long_ = false;
  std::int64_t bases_ = 0;  // of all records so far
};

}  // namespace strandline
