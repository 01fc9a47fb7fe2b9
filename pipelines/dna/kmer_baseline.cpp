#include "pipelines/dna/kmer_baseline.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/model/classifier.hpp"
#include "core/vocab/dna.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kStandardisingExamples = 4000;
constexpr float kSmallestDeviation = 1e-6F;

// Two bits a base, the first base in the highest bits.
std::uint32_t reverse_complement_code(std::uint32_t code, int k) {
  std::uint32_t reversed = 0;
  for (int base = 0; base < k; ++base) {
    reversed = (reversed << 2U) | (3U - (code & 3U));
    code >>= 2U;
  }
  return reversed;
}

// Adam over one flat vector; beta as usual, no decay.
class Adam {
 public:
  explicit Adam(std::size_t size) : first_(size), second_(size) {}

  void step(std::span<const float> gradient, double learning_rate, std::span<float> weights) {
    constexpr float kBeta1 = 0.9F;
    constexpr float kBeta2 = 0.999F;
    ++step_;
    const auto rate = static_cast<float>(learning_rate / (1 - std::pow(kBeta1, step_)));
    const auto second_scale = static_cast<float>(1 / (1 - std::pow(kBeta2, step_)));
    for (std::size_t index = 0; index < weights.size(); ++index) {
      const float g = gradient[index];
      first_[index] = kBeta1 * first_[index] + (1 - kBeta1) * g;
      second_[index] = kBeta2 * second_[index] + (1 - kBeta2) * g * g;
      weights[index] -= rate * first_[index] / (std::sqrt(second_[index] * second_scale) + 1e-8F);
    }
  }

 private:
  std::vector<float> first_;
  std::vector<float> second_;
  int step_ = 0;
};

}  // namespace

KmerCounter::KmerCounter(int k, bool canonical) : k_(k) {
  if (k < 1 || k > 8) throw ContractError("KmerCounter: k is " + std::to_string(k) + ", expected 1 to 8");
  const std::uint32_t codes = 1U << (2U * static_cast<unsigned>(k));
  feature_of_code_.resize(codes);
  for (std::uint32_t code = 0; code < codes; ++code) {
    const std::uint32_t other = canonical ? reverse_complement_code(code, k) : code;
    // The smaller code of a pair comes first, so that it already has its feature.
    feature_of_code_[code] = other < code ? feature_of_code_[other] : static_cast<std::int32_t>(features_++);
  }
}

void KmerCounter::count(std::span<const std::int32_t> ids, std::span<float> frequencies) const {
  std::ranges::fill(frequencies, 0.0F);
  const auto mask = static_cast<std::uint32_t>(feature_of_code_.size() - 1);
  std::uint32_t code = 0;
  int known = 0;
  std::int64_t total = 0;
  for (const std::int32_t id : ids) {
    if (id < dna::kA || id > dna::kT) {
      known = 0;
      continue;
    }
    code = ((code << 2U) | static_cast<std::uint32_t>(id - dna::kA)) & mask;
    if (++known < k_) continue;
    frequencies[static_cast<std::size_t>(feature_of_code_[code])] += 1.0F;
    ++total;
  }
  if (total == 0) return;
  for (float& value : frequencies) value /= static_cast<float>(total);
}

KmerBaseline::KmerBaseline(const KmerOptions& options, std::int64_t classes)
    : options_(options),
      counter_(options.k, options.canonical),
      classes_(classes),
      weights_(static_cast<std::size_t>(classes * (counter_.features() + 1))) {}

void KmerBaseline::standardise(const ExampleSource& training) {
  const auto features = static_cast<std::size_t>(counter_.features());
  std::vector<double> sum(features);
  std::vector<double> squares(features);
  mean_.assign(features, 0.0F);
  inverse_deviation_.assign(features, 1.0F);
  std::vector<float> values(features);
  std::vector<std::int32_t> ids;
  const std::int64_t examples = std::min(kStandardisingExamples, options_.examples);
  for (std::int64_t index = 0; index < examples; ++index) {
    training.example(index, ids);
    features_of(ids, values);
    for (std::size_t feature = 0; feature < features; ++feature) {
      sum[feature] += values[feature];
      squares[feature] += double{values[feature]} * values[feature];
    }
  }
  for (std::size_t feature = 0; feature < features; ++feature) {
    const double mean = sum[feature] / static_cast<double>(examples);
    const double variance = std::max(0.0, squares[feature] / static_cast<double>(examples) - mean * mean);
    mean_[feature] = static_cast<float>(mean);
    inverse_deviation_[feature] = 1.0F / std::max(kSmallestDeviation, static_cast<float>(std::sqrt(variance)));
  }
}

void KmerBaseline::features_of(std::span<const std::int32_t> ids, std::span<float> features) const {
  counter_.count(ids, features);
  for (std::size_t feature = 0; feature < features.size(); ++feature) {
    features[feature] = (std::sqrt(features[feature]) - mean_[feature]) * inverse_deviation_[feature];
  }
}

void KmerBaseline::logits_of(std::span<const float> features, std::span<float> logits) const {
  for (std::size_t class_id = 0; class_id < logits.size(); ++class_id) {
    const float* row = weights_.data() + class_id * (features.size() + 1);
    float sum = row[features.size()];
    for (std::size_t feature = 0; feature < features.size(); ++feature) sum += row[feature] * features[feature];
    logits[class_id] = sum;
  }
}

void KmerBaseline::train(const ExampleSource& training) {
  standardise(training);
  const auto features = static_cast<std::size_t>(counter_.features());
  const auto classes = static_cast<std::size_t>(classes_);
  std::vector<float> values(features);
  std::vector<float> logits(classes);
  std::vector<double> probabilities(classes);
  std::vector<float> gradient(weights_.size());
  std::vector<std::int32_t> ids;
  Adam adam(weights_.size());
  const std::int64_t batches = std::max<std::int64_t>(1, options_.examples / options_.batch);
  const std::int64_t steps = batches * options_.passes;
  for (std::int64_t step = 0; step < steps; ++step) {
    for (std::size_t index = 0; index < gradient.size(); ++index)
      gradient[index] = static_cast<float>(options_.l2) * weights_[index];
    for (std::int64_t example = 0; example < options_.batch; ++example) {
      const std::int32_t label = training.example((step % batches) * options_.batch + example, ids);
      features_of(ids, values);
      logits_of(values, logits);
      class_probabilities(logits, probabilities);
      for (std::size_t class_id = 0; class_id < classes; ++class_id) {
        const double error = probabilities[class_id] - (static_cast<std::int32_t>(class_id) == label ? 1.0 : 0.0);
        const auto scaled = static_cast<float>(error / static_cast<double>(options_.batch));
        float* row = gradient.data() + class_id * (features + 1);
        for (std::size_t feature = 0; feature < features; ++feature) row[feature] += scaled * values[feature];
        row[features] += scaled;
      }
    }
    const double left = 1.0 - static_cast<double>(step) / static_cast<double>(steps);
    adam.step(gradient, options_.learning_rate * left, weights_);
  }
}

Predictions KmerBaseline::predict(const ExampleSource& examples) const {
  Predictions out;
  out.classes = classes_;
  std::vector<float> values(static_cast<std::size_t>(counter_.features()));
  std::vector<float> logits(static_cast<std::size_t>(classes_));
  std::vector<std::int32_t> ids;
  for (std::int64_t index = 0; index < examples.size(); ++index) {
    out.labels.push_back(examples.example(index, ids));
    features_of(ids, values);
    logits_of(values, logits);
    append_softmax(logits, out);
  }
  return out;
}

}  // namespace strandline
