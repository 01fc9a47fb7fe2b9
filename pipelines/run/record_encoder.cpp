#include "pipelines/run/record_encoder.hpp"

#include <algorithm>

namespace strandline {
namespace {

constexpr std::int64_t kPieceTokens = 4096;
constexpr std::int64_t kCardPieceTokens = 32768;

}  // namespace

std::int64_t stream_piece_tokens(const EncoderOptions& options, bool on_card) {
  return on_card ? std::min(options.segment_tokens, kCardPieceTokens) : kPieceTokens;
}

RecordEncoder::RecordEncoder(Classifier& classifier, RowKind kind)
    : classifier_(classifier),
      kind_(kind),
      width_(kind == RowKind::probabilities ? classifier.config().classes : classifier.config().encoder.d_model),
      piece_tokens_(
          stream_piece_tokens(classifier.encoder().options(), classifier.backend().device_memory().has_value())) {
  if (ClassifierStream::supports(classifier.config())) {
    stream_ = std::make_unique<ClassifierStream>(classifier, piece_tokens_);
  }
}

std::vector<double> RecordEncoder::encode(const PackedBatch& batch) {
  if (batch.sequences() == 0) return {};
  values_.resize(static_cast<std::size_t>(batch.sequences() * width_));
  if (kind_ == RowKind::probabilities) {
    classifier_.predict(batch, values_);
  } else {
    classifier_.embed(batch, values_);
  }
  return rows_of(values_);
}

std::vector<double> RecordEncoder::finish() {
  std::vector<float> logits(static_cast<std::size_t>(classifier_.config().classes));
  std::vector<float> pooled(static_cast<std::size_t>(classifier_.config().encoder.d_model));
  stream_->finish(logits, pooled);
  return rows_of(kind_ == RowKind::probabilities ? logits : pooled);
}

std::vector<double> RecordEncoder::rows_of(std::span<const float> values) const {
  std::vector<double> rows(values.begin(), values.end());
  if (kind_ == RowKind::embedding) return rows;
  const auto width = static_cast<std::size_t>(width_);
  for (std::size_t begin = 0; begin < rows.size(); begin += width) {
    class_probabilities(values.subspan(begin, width), std::span(rows).subspan(begin, width));
  }
  return rows;
}

}  // namespace strandline
