// Gradients of the whole model against finite differences, in double, for every tensor and every shape of the model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "core/cpu/cpu_backend.hpp"
#include "core/ref/ref_backend.hpp"
#include "tests/core/model_fixture.hpp"

namespace strandline {
namespace {

using testing::tiny_bidirectional;
using testing::tiny_classifier;

struct GradientCase {
  std::string name;
  ClassifierConfig config;
  std::int64_t segment_tokens = 16384;

  friend std::ostream& operator<<(std::ostream& out, const GradientCase& each) { return out << each.name; }
};

ClassifierConfig with(const EncoderConfig& encoder, Pooling pooling) {
  return {.encoder = encoder, .classes = 3, .pooling = pooling};
}

ClassifierConfig with_dropout() {
  ClassifierConfig config = with(tiny_bidirectional(true, Combine::add), Pooling::mean);
  config.encoder.dropout = 0.4;
  return config;
}

ClassifierConfig with_every_option_turned() {
  ClassifierConfig config = with(tiny_bidirectional(false, Combine::add), Pooling::mean);
  config.encoder.proj_bias = true;
  config.encoder.conv_bias = false;
  config.encoder.gate_order = ops::GateOrder::norm_then_gate;
  config.encoder.norm_groups = 2;
  config.encoder.dt_limit_min = 0.02;
  config.encoder.dt_limit_max = 0.2;
  return config;
}

std::vector<GradientCase> gradient_cases() {
  return {
      {"CausalMean", tiny_classifier()},
      {"CausalLast", with(testing::tiny_encoder(), Pooling::last)},
      {"CausalMax", with(testing::tiny_encoder(), Pooling::max)},
      {"CausalAttention", with(testing::tiny_encoder(), Pooling::attention)},
      {"CausalInPieces", tiny_classifier(), 4},
      {"BidirectionalTied", with(tiny_bidirectional(true, Combine::add), Pooling::mean)},
      {"BidirectionalApart", with(tiny_bidirectional(false, Combine::add), Pooling::max)},
      {"BidirectionalTiedInPieces", with(tiny_bidirectional(true, Combine::add), Pooling::attention), 4},
      {"ConcatTied", with(tiny_bidirectional(true, Combine::concat), Pooling::mean)},
      {"ConcatApartInPieces", with(tiny_bidirectional(false, Combine::concat), Pooling::mean), 8},
      {"Dropout", with_dropout()},
      {"DropoutInPieces", with_dropout(), 4},
      {"EveryOptionTurned", with_every_option_turned()},
  };
}

class ModelGradient : public ::testing::TestWithParam<GradientCase> {};

double central_difference(double& weight, const std::function<double()>& loss) {
  constexpr double kStep = 1e-5;
  const double kept = weight;
  weight = kept + kStep;
  const double above = loss();
  weight = kept - kStep;
  const double below = loss();
  weight = kept;
  return (above - below) / (2 * kStep);
}

TEST_P(ModelGradient, MatchesFiniteDifferences) {
  const ClassifierConfig& config = GetParam().config;
  const auto backend = make_ref_backend();
  Classifier classifier(config, *backend, {.segment_tokens = GetParam().segment_tokens});
  testing::scramble(config.encoder, 5, classifier.weights());
  const std::vector<std::int64_t> lengths{5, 0, 9, 1};
  const PackedBatch batch = testing::random_pack(lengths, config.encoder.vocab_size, 3);
  const std::vector<std::int32_t> labels{0, 1, 2, 1};
  const std::vector<float> class_weights{1.0F, 2.0F, 0.5F};
  const TrainStepArgs args{.class_weights = class_weights, .label_smoothing = 0.1, .dropout = {.seed = 9, .draw = 4}};
  const auto loss = [&] { return classifier.train_step(batch, labels, args).loss_sum; };

  classifier.zero_gradients();
  loss();
  std::vector<std::vector<double>> gradients;
  for (const WeightSpec& spec : classifier.weights().layout().specs()) {
    const double* values = classifier.gradients().view(spec.name).as<double>();
    gradients.emplace_back(values, values + spec.shape.elements());
  }
  std::size_t tensor = 0;
  for (const WeightSpec& spec : classifier.weights().layout().specs()) {
    const std::vector<double>& gradient = gradients[tensor++];
    const std::int64_t count = spec.shape.elements();
    double largest = 0.0;
    for (const double value : gradient) largest = std::max(largest, std::abs(value));
    EXPECT_GT(largest, 0.0) << spec.name << " has no gradient";
    double* weights = classifier.weights().view(spec.name).as<double>();
    // At most five numbers of a tensor, spread over it.
    for (std::int64_t i = 0; i < count; i += 1 + count / 5) {
      const double expected = central_difference(weights[i], loss);
      EXPECT_NEAR(gradient[static_cast<std::size_t>(i)], expected, 1e-7 + 1e-6 * largest) << spec.name << " " << i;
    }
  }
}

std::vector<std::vector<float>> gradients_with(const GradientCase& each, std::int64_t keep_bytes) {
  const auto backend = make_cpu_backend({.threads = 2});
  Classifier classifier(each.config, *backend, {.segment_tokens = each.segment_tokens, .keep_bytes = keep_bytes});
  testing::scramble(each.config.encoder, 5, classifier.weights());
  const std::vector<std::int64_t> lengths{5, 0, 9, 1};
  const PackedBatch batch = testing::random_pack(lengths, each.config.encoder.vocab_size, 3);
  const std::vector<std::int32_t> labels{0, 1, 2, 1};
  classifier.zero_gradients();
  classifier.train_step(batch, labels, {.dropout = {.seed = 9, .draw = 4}});
  std::vector<std::vector<float>> gradients;
  for (const WeightSpec& spec : classifier.weights().layout().specs()) {
    gradients.push_back(classifier.gradients().get(spec.name));
  }
  return gradients;
}

TEST_P(ModelGradient, HasTheSameBitsWhetherTheBlocksAreKeptOrComputedAgain) {
  EXPECT_EQ(gradients_with(GetParam(), 0), gradients_with(GetParam(), std::int64_t{1} << 20));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ModelGradient, ::testing::ValuesIn(gradient_cases()),
                         [](const auto& each) { return each.param.name; });

TEST(ModelGradientOfAPack, IsTheSumOverItsSequences) {
  const ClassifierConfig config = tiny_classifier();
  const auto backend = make_ref_backend();
  Classifier classifier(config, *backend);
  testing::scramble(config.encoder, 5, classifier.weights());
  const std::vector<std::int64_t> lengths{9, 6};
  const PackedBatch batch = testing::random_pack(lengths, config.encoder.vocab_size, 3);
  const std::vector<std::int32_t> labels{2, 0};
  classifier.zero_gradients();
  const double together = classifier.train_step(batch, labels, {}).loss_sum;
  const std::vector<float> expected = classifier.gradients().get("backbone.layers.0.mixer.in_proj.weight");
  classifier.zero_gradients();
  double apart = 0.0;
  for (const std::size_t s : {0, 1}) {
    apart += classifier.train_step(testing::pack_of(testing::ids_of(batch, s)), std::span(labels).subspan(s, 1), {})
                 .loss_sum;
  }
  const std::vector<float> sum = classifier.gradients().get("backbone.layers.0.mixer.in_proj.weight");
  EXPECT_NEAR(together, apart, 1e-12);
  for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(sum[i], expected[i], 1e-7);
}

}  // namespace
}  // namespace strandline
