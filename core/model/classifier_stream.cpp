#include "core/model/classifier_stream.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

// As in ops::pool: of equal values the first stays, and NaN is the largest.
double larger(double first, double second) {
  const bool keep = second <= first || std::isnan(first);
  return keep ? first : second;
}

}  // namespace

bool ClassifierStream::supports(const ClassifierConfig& config) {
  return config.encoder.direction == Direction::causal && config.pooling != Pooling::attention;
}

ClassifierStream::ClassifierStream(Classifier& classifier, std::int64_t piece_tokens)
    : classifier_(classifier),
      stream_(
          classifier.encoder(), [this](std::int64_t, ConstView hidden_td) { take(hidden_td); }, piece_tokens),
      value_(static_cast<std::size_t>(classifier.config().encoder.d_model)) {
  if (classifier.config().pooling == Pooling::attention) {
    throw ContractError(
        "streaming does not support attention pooling, which weighs every token against all others; "
        "use mean, last or max pooling, or windows");
  }
  start();
}

void ClassifierStream::start() {
  const bool is_max = classifier_.config().pooling == Pooling::max;
  std::fill(value_.begin(), value_.end(), is_max ? -std::numeric_limits<double>::infinity() : 0.0);
  tokens_ = 0;
}

// The same arithmetic in the same order as ops::pool, one token after the other.
void ClassifierStream::take(ConstView hidden_td) {
  Backend& backend = classifier_.backend();
  rows_.resize(static_cast<std::size_t>(hidden_td.elements()));
  backend.synchronize();
  download_values(backend.memory(), hidden_td, rows_);
  const std::size_t width = value_.size();
  for (std::size_t row = 0; row < rows_.size(); row += width) {
    for (std::size_t d = 0; d < width; ++d) {
      switch (classifier_.config().pooling) {
        case Pooling::max: value_[d] = larger(value_[d], rows_[row + d]); break;
        case Pooling::last: value_[d] = rows_[row + d]; break;
        default: value_[d] += rows_[row + d];
      }
    }
  }
  tokens_ += hidden_td.size(0);
}

void ClassifierStream::finish(std::span<float> logits, std::span<float> pooled) {
  stream_.finish();
  if (tokens_ == 0) std::fill(value_.begin(), value_.end(), 0.0);
  if (classifier_.config().pooling == Pooling::mean && tokens_ > 0) {
    for (double& value : value_) value /= static_cast<double>(tokens_);
  }
  classifier_.head(value_, logits);
  if (!pooled.empty()) {
    if (pooled.size() != value_.size()) throw ContractError("classifier stream: pooled must have d_model values");
    std::transform(value_.begin(), value_.end(), pooled.begin(),
                   [](double value) { return static_cast<float>(value); });
  }
  start();
}

}  // namespace strandline
