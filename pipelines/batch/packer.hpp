// Many sequences of many records into one PackedBatch, under a budget of tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/model/packed_batch.hpp"

namespace strandline {

/// Where a record ends: after the first `sequences` sequences of this batch. Its own may have begun in earlier batches.
template <class Record>
struct RecordEnd {
  std::int64_t sequences = 0;
  Record record;
};

/// What goes through the encoder in one step, and whose it is. Records come in input order, across batches too.
template <class Record>
struct RecordBatch {
  std::int64_t number = 0;            ///< of the batch, from 0
  PackedBatch packed;                 ///< empty when its one sequence goes through the encoder in pieces
  std::vector<std::int64_t> weights;  ///< one per sequence: its share in its record's result
  std::vector<RecordEnd<Record>> ends;
};

struct PackLimits {
  std::int64_t tokens = 1 << 14;   ///< a longer sequence gets a batch of its own
  std::int64_t records = 1 << 12;  ///< bounds the memory of records that have no sequence
};

/// The use: while a sequence or a record does not fit, take() the batch and go on.
template <class Record>
class Packer {
 public:
  explicit Packer(const PackLimits& limits) : limits_(limits) {
    if (limits.tokens < 1 || limits.records < 1) throw ContractError("Packer: limits must be at least 1");
  }

  bool empty() const { return batch_.packed.sequences() == 0 && batch_.ends.empty(); }

  /// True when a sequence of `tokens` may still be added.
  bool fits(std::int64_t tokens) const {
    return empty() || (batch_.packed.tokens() + tokens <= limits_.tokens && !is_full());
  }

  /// True when the batch should go now, whatever comes next.
  bool is_full() const {
    return batch_.packed.tokens() >= limits_.tokens || std::ssize(batch_.ends) >= limits_.records;
  }

  void add_sequence(std::span<const std::int32_t> ids, std::int64_t weight) {
    batch_.packed.add(ids);
    batch_.weights.push_back(weight);
  }

  void end_record(Record record) { batch_.ends.push_back({batch_.packed.sequences(), std::move(record)}); }

  RecordBatch<Record> take() {
    RecordBatch<Record> full = std::move(batch_);
    batch_ = {};
    batch_.number = full.number + 1;
    return full;
  }

 private:
  PackLimits limits_;
  RecordBatch<Record> batch_;
};

}  // namespace strandline
