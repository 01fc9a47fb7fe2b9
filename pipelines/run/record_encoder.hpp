// A classifier as inference uses it: sequences in, one row of numbers each out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/model/classifier.hpp"
#include "core/model/classifier_stream.hpp"
#include "core/model/packed_batch.hpp"

namespace strandline {

enum class RowKind {
  probabilities,  ///< one per class
  embedding,      ///< the pooled hidden state
};

/// Tokens that go through a stream at once. A card wants more work at a time than a processor.
std::int64_t stream_piece_tokens(const EncoderOptions& options, bool on_card);

/// A row's bits depend on its sequence alone: not on the batch, nor on whether it came in pieces. One thread at a time.
class RecordEncoder {
 public:
  RecordEncoder(Classifier& classifier, RowKind kind);

  std::int64_t width() const { return width_; }
  /// One row per sequence, end to end.
  std::vector<double> encode(const PackedBatch& batch);

  /// True when one sequence of any length can go through in pieces, in constant memory.
  bool takes_pieces() const { return stream_ != nullptr; }
  std::int64_t piece_tokens() const { return piece_tokens_; }
  void push(std::span<const std::int32_t> ids) { stream_->push(ids); }
  /// The row of the sequence pushed; the next push begins another.
  std::vector<double> finish();

 private:
  std::vector<double> rows_of(std::span<const float> values) const;

  Classifier& classifier_;
  RowKind kind_;
  std::int64_t width_;
  std::int64_t piece_tokens_;
  std::unique_ptr<ClassifierStream> stream_;
  std::vector<float> values_;
};

}  // namespace strandline
