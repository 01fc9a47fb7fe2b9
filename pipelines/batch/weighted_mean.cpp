#include "pipelines/batch/weighted_mean.hpp"

#include <algorithm>
#include <string>

#include "core/base/error.hpp"

namespace strandline {

void WeightedMean::add(std::span<const double> row, std::int64_t weight) {
  if (row.size() != sums_.size() || weight <= 0) {
    throw ContractError("WeightedMean: row of " + std::to_string(row.size()) + " with weight " +
                        std::to_string(weight) + ", expected " + std::to_string(sums_.size()) +
                        " with a positive weight");
  }
  const auto factor = static_cast<double>(weight);
  for (std::size_t i = 0; i < row.size(); ++i) sums_[i] += factor * row[i];
  weight_ += factor;
  ++rows_;
}

std::span<const double> WeightedMean::mean() {
  if (rows_ == 0) throw ContractError("WeightedMean: the mean of no rows");
  std::transform(sums_.begin(), sums_.end(), mean_.begin(), [&](double sum) { return sum / weight_; });
  return mean_;
}

void WeightedMean::clear() {
  std::fill(sums_.begin(), sums_.end(), 0.0);
  weight_ = 0.0;
  rows_ = 0;
}

}  // namespace strandline
