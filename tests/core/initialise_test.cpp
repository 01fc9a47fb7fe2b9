#include "core/model/initialise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "core/ref/ref_backend.hpp"

namespace strandline {
namespace {

const EncoderConfig kConfig{.layers = 4, .d_state = 16};

class Initialise : public ::testing::Test {
 protected:
  Weights initialised(const ClassifierConfig& config, std::uint64_t seed) {
    Weights weights(WeightLayout(config), *backend_);
    initialise(config.encoder, seed, weights);
    return weights;
  }
  std::vector<float> get(const std::string& name) { return weights_.get("backbone.layers.1.mixer." + name); }

  std::unique_ptr<Backend> backend_ = make_ref_backend(DType::f32);
  Weights weights_ = initialised({.encoder = kConfig}, 1);
};

double deviation(const std::vector<float>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0) /
                   static_cast<double>(values.size()));
}

TEST_F(Initialise, DrawsStepSizesInTheirRange) {
  for (const float bias : get("dt_bias")) {
    const double step = std::log1p(std::exp(static_cast<double>(bias)));
    EXPECT_GE(step, kConfig.dt_init_min * (1 - 1e-5));
    EXPECT_LE(step, kConfig.dt_init_max * (1 + 1e-5));
  }
}

TEST_F(Initialise, KeepsStepSizesAboveTheFloor) {
  ClassifierConfig config{.encoder = kConfig};
  config.encoder.dt_init_floor = 0.5;
  for (const float bias : initialised(config, 1).get("backbone.layers.0.mixer.dt_bias")) {
    EXPECT_NEAR(std::log1p(std::exp(static_cast<double>(bias))), 0.5, 1e-6);
  }
}

TEST_F(Initialise, DrawsDecaysBetweenOneAndSixteen) {
  for (const float a_log : get("A_log")) {
    EXPECT_GE(a_log, 0.0F);
    EXPECT_LE(a_log, std::log(16.0F));
  }
}

TEST_F(Initialise, StartsSkipAndNormsAtOneAndTheHeadsBiasAtZero) {
  for (const char* name : {"D", "norm.weight"}) {
    for (const float value : get(name)) EXPECT_EQ(value, 1.0F) << name;
  }
  for (const float value : weights_.get("backbone.norm_f.weight")) EXPECT_EQ(value, 1.0F);
  for (const float value : weights_.get("head.bias")) EXPECT_EQ(value, 0.0F);
}

TEST_F(Initialise, ScalesProjectionsByTheirInputsAndDepth) {
  const double third = 1.0 / std::sqrt(3.0);  // deviation of uniform(-1, 1)
  EXPECT_NEAR(deviation(get("in_proj.weight")) * std::sqrt(128.0), third, 0.01);
  EXPECT_NEAR(deviation(get("out_proj.weight")) * std::sqrt(256.0) * 2.0, third, 0.01);  // four layers
  EXPECT_NEAR(deviation(get("conv1d.weight")) * 2.0, third, 0.03);                       // four taps
  EXPECT_NEAR(deviation(weights_.get("backbone.embedding.weight")), 0.02, 0.001);
}

TEST_F(Initialise, DependsOnTheSeedAndTheNameOnly) {
  ClassifierConfig other{.encoder = kConfig, .classes = 5, .pooling = Pooling::attention};
  const Weights same_seed = initialised(other, 1);
  const Weights other_seed = initialised(other, 2);
  const std::string name = "backbone.layers.3.mixer.in_proj.weight";
  EXPECT_EQ(same_seed.get(name), weights_.get(name));
  EXPECT_NE(other_seed.get(name), weights_.get(name));
  EXPECT_NE(weights_.get(name), weights_.get("backbone.layers.2.mixer.in_proj.weight"));
}

TEST_F(Initialise, GivesTheSameNumbersInDouble) {
  const auto truth = make_ref_backend(DType::f64);
  Weights weights(WeightLayout(ClassifierConfig{.encoder = kConfig}), *truth);
  initialise(kConfig, 1, weights);
  for (const WeightSpec& spec : weights.layout().specs()) EXPECT_EQ(weights.get(spec.name), weights_.get(spec.name));
}

}  // namespace
}  // namespace strandline
