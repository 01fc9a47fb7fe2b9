#include "core/model/classifier_stream.hpp"

#include "core/base/error.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {

bool ClassifierStream::supports(const ClassifierConfig& config) {
  return config.encoder.direction == Direction::causal && config.pooling != Pooling::attention;
}

ClassifierStream::ClassifierStream(Classifier& classifier, std::int64_t piece_tokens)
    : classifier_(classifier),
      stream_(
          classifier.encoder(), [this](std::int64_t, ConstView hidden_td) { pool(hidden_td, {}); }, piece_tokens) {
  if (classifier.config().pooling == Pooling::attention) {
    throw ContractError(
        "streaming does not support attention pooling, which weighs every token against all others; "
        "use mean, last or max pooling, or windows");
  }
  Backend& backend = classifier.backend();
  const std::int64_t width = classifier.config().encoder.d_model;
  state_ = Buffer(backend.memory(), DType::f64, {ops::kPoolStateRows, width});
  pooled_ = Buffer(backend.memory(), backend.accumulate_dtype(), {1, width});
}

void ClassifierStream::pool(ConstView hidden_td, View pooled_sd) {
  ops::pool_piece(classifier_.backend(), {.x_td = hidden_td,
                                          .tokens_before = tokens_,
                                          .kind = pool_kind(classifier_.config().pooling),
                                          .state_kd = state_.view(),
                                          .y_sd = pooled_sd});
  tokens_ += hidden_td.size(0);
}

void ClassifierStream::finish(std::span<float> logits, std::span<float> pooled) {
  stream_.finish();
  const View pooled_sd = pooled_.view();
  pool(pooled_sd.slice(0, 0, 0), pooled_sd);  // no more tokens
  tokens_ = 0;
  classifier_.head(pooled_sd, logits);
  if (pooled.empty()) return;
  if (pooled.size() != static_cast<std::size_t>(pooled_sd.size(1))) {
    throw ContractError("classifier stream: pooled must have d_model values");
  }
  download_values(classifier_.backend().memory(), pooled_sd, pooled);
}

}  // namespace strandline
