// From the results of batches, in any order, back to records in input order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "pipelines/batch/packer.hpp"
#include "pipelines/batch/weighted_mean.hpp"
#include "pipelines/stages/in_order.hpp"

namespace strandline {

/// A batch that has been through the encoder: `rows` holds one row of the unpacker's width per sequence.
template <class Record>
struct EncodedBatch {
  RecordBatch<Record> batch;
  std::vector<double> rows;
};

/// Memory: one record's sums, and the batches that came too early. One thread at a time.
template <class Record>
class Unpacker {
 public:
  explicit Unpacker(std::int64_t width) : width_(width), mean_(width) {}

  /// Calls `emit(Record record, WeightedMean& mean)` for every record that is now complete; mean.rows() is 0 for a
  /// record without sequences. @throws ContractError when the rows do not match the batch.
  template <class Emit>
  void add(EncodedBatch<Record> encoded, Emit&& emit) {
    const std::int64_t expected = std::ssize(encoded.batch.weights) * width_;
    if (std::ssize(encoded.rows) != expected) {
      throw ContractError("Unpacker: " + std::to_string(encoded.rows.size()) + " numbers, expected " +
                          std::to_string(expected));
    }
    const std::int64_t number = encoded.batch.number;
    in_order_.add(number, std::move(encoded), [&](EncodedBatch<Record> in_turn) { unpack(in_turn, emit); });
  }

 private:
  template <class Emit>
  void unpack(EncodedBatch<Record>& encoded, Emit& emit) {
    const std::span<const double> rows = encoded.rows;
    std::int64_t next = 0;
    const auto add_until = [&](std::int64_t end) {
      for (; next < end; ++next) {
        mean_.add(rows.subspan(static_cast<std::size_t>(next * width_), static_cast<std::size_t>(width_)),
                  encoded.batch.weights[static_cast<std::size_t>(next)]);
      }
    };
    for (RecordEnd<Record>& end : encoded.batch.ends) {
      add_until(end.sequences);
      emit(std::move(end.record), mean_);
      mean_.clear();
    }
    add_until(std::ssize(encoded.batch.weights));
  }

  std::int64_t width_;
  WeightedMean mean_;
  InOrder<EncodedBatch<Record>> in_order_;
};

}  // namespace strandline
