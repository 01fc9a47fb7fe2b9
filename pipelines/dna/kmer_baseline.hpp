// The yardstick: multinomial logistic regression on k-mer frequencies, trained on the very examples the model saw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/run/example_source.hpp"
#include "pipelines/run/metrics.hpp"

namespace strandline {

/// Counts k-mers of token ids. K-mers that hold anything but A, C, G, T are left out.
class KmerCounter {
 public:
  /// @param canonical a k-mer and its reverse complement are one feature. 1 <= k <= 8.
  KmerCounter(int k, bool canonical);

  std::int64_t features() const { return features_; }
  /// Frequencies (sum 1; all 0 without a k-mer) into `frequencies`, which has features() numbers.
  void count(std::span<const std::int32_t> ids, std::span<float> frequencies) const;

 private:
  int k_;
  std::int64_t features_ = 0;
  std::vector<std::int32_t> feature_of_code_;
};

struct KmerOptions {
  int k = 5;
  bool canonical = true;
  std::int64_t examples = 20000;  ///< training examples [0, examples) of the source
  int passes = 4;                 ///< over them
  std::int64_t batch = 64;
  double learning_rate = 0.02;  ///< Adam's, falling linearly to 0
  double l2 = 1e-5;
};

/// Features are square roots of frequencies, standardised by the training examples: it did better than plain
/// frequencies or counts. Single-threaded and in a fixed order: same examples, same bits.
class KmerBaseline {
 public:
  KmerBaseline(const KmerOptions& options, std::int64_t classes);

  void train(const ExampleSource& training);
  Predictions predict(const ExampleSource& examples) const;
  int k() const { return options_.k; }

 private:
  void standardise(const ExampleSource& training);
  void features_of(std::span<const std::int32_t> ids, std::span<float> features) const;
  void logits_of(std::span<const float> features, std::span<float> logits) const;

  KmerOptions options_;
  KmerCounter counter_;
  std::int64_t classes_;
  std::vector<float> mean_;
  std::vector<float> inverse_deviation_;
  std::vector<float> weights_;  // classes rows of features() numbers and a bias
};

}  // namespace strandline
