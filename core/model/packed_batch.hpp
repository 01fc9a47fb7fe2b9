// The single door of the model: tokens of many sequences end to end, no padding, no mask.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strandline {

class PackedBatch {
 public:
  PackedBatch() = default;

  /// Appends one sequence; empty ones are legal.
  void add(std::span<const std::int32_t> ids) {
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    seq_begin_.push_back(static_cast<std::int64_t>(ids_.size()));
  }
  /// Keeps the capacity.
  void clear() {
    ids_.clear();
    seq_begin_.assign(1, 0);
  }

  std::int64_t tokens() const { return static_cast<std::int64_t>(ids_.size()); }
  std::int64_t sequences() const { return static_cast<std::int64_t>(seq_begin_.size()) - 1; }
  std::span<const std::int32_t> ids() const { return ids_; }
  /// sequences() + 1 ascending offsets: first 0, last tokens().
  std::span<const std::int64_t> seq_begin() const { return seq_begin_; }

 private:
  std::vector<std::int32_t> ids_;
  std::vector<std::int64_t> seq_begin_{0};
};

}  // namespace strandline
