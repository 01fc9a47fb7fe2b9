// How the results of a record's sequences become the record's result.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strandline {

/// mean[c] = sum_i weight_i * row_i[c] / sum_i weight_i, summed in double in the order added: the same bits however
/// the rows were spread over batches.
class WeightedMean {
 public:
  explicit WeightedMean(std::int64_t width) : sums_(static_cast<std::size_t>(width)), mean_(sums_.size()) {}

  /// weight > 0; row has the width of the constructor. @throws ContractError.
  void add(std::span<const double> row, std::int64_t weight);
  std::int64_t rows() const { return rows_; }
  /// Valid until the next call. @throws ContractError when nothing was added.
  std::span<const double> mean();
  void clear();

 private:
  std::vector<double> sums_;
  std::vector<double> mean_;
  double weight_ = 0.0;
  std::int64_t rows_ = 0;
};

}  // namespace strandline
