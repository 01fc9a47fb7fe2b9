#include "core/model/weights.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.hpp"
#include "core/base/error.hpp"
#include "core/ref/ref_backend.hpp"
#include "tests/core/printed_enums.hpp"

namespace strandline {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> names_of(const WeightLayout& layout) {
  std::vector<std::string> names;
  for (const WeightSpec& spec : layout.specs()) names.push_back(spec.name);
  return names;
}

TEST(WeightLayout, HasTheParametersOfMamba2_130m) {
  const EncoderConfig config{.vocab_size = 50288, .d_model = 768, .layers = 24, .d_state = 128, .headdim = 64};
  const WeightLayout layout(config);
  EXPECT_EQ(layout.parameters(), 128'989'632);
  EXPECT_EQ(layout.find("backbone.embedding.weight")->shape, (Shape{50288, 768}));
  EXPECT_EQ(layout.find("backbone.layers.23.mixer.in_proj.weight")->shape, (Shape{3352, 768}));
  EXPECT_EQ(layout.find("backbone.layers.0.mixer.conv1d.weight")->shape, (Shape{1792, 4}));
  EXPECT_EQ(layout.find("backbone.layers.0.mixer.out_proj.weight")->shape, (Shape{768, 1536}));
  EXPECT_EQ(layout.find("backbone.layers.24.norm.weight"), nullptr);
}

TEST(WeightLayout, NamesACausalClassifierAsTheFieldDoes) {
  const WeightLayout layout(ClassifierConfig{.encoder = {.layers = 1}});
  EXPECT_THAT(
      names_of(layout),
      ElementsAre("backbone.embedding.weight", "backbone.layers.0.norm.weight",
                  "backbone.layers.0.mixer.in_proj.weight", "backbone.layers.0.mixer.conv1d.weight",
                  "backbone.layers.0.mixer.conv1d.bias", "backbone.layers.0.mixer.dt_bias",
                  "backbone.layers.0.mixer.A_log", "backbone.layers.0.mixer.D", "backbone.layers.0.mixer.norm.weight",
                  "backbone.layers.0.mixer.out_proj.weight", "backbone.norm_f.weight", "head.weight", "head.bias"));
}

TEST(WeightLayout, GivesTheReverseDirectionItsOwn) {
  EncoderConfig config{.layers = 1, .direction = Direction::bidirectional};
  const WeightLayout tied(config);
  EXPECT_EQ(tied.find("backbone.layers.0.mixer_rev.in_proj.weight"), nullptr);
  for (const char* own : {"conv1d.weight", "conv1d.bias", "dt_bias", "A_log", "D", "norm.weight"}) {
    EXPECT_NE(tied.find("backbone.layers.0.mixer_rev." + std::string(own)), nullptr) << own;
  }
  config.tied_projections = false;
  const WeightLayout apart(config);
  EXPECT_NE(apart.find("backbone.layers.0.mixer_rev.in_proj.weight"), nullptr);
  EXPECT_NE(apart.find("backbone.layers.0.mixer_rev.out_proj.weight"), nullptr);
}

TEST(WeightLayout, HalvesTheOutputsWhenDirectionsAreConcatenated) {
  EncoderConfig config{.layers = 1, .direction = Direction::bidirectional, .combine = Combine::concat};
  EXPECT_EQ(WeightLayout(config).find("backbone.layers.0.mixer.out_proj.weight")->shape, (Shape{64, 256}));
}

TEST(WeightLayout, DecaysMatricesOnly) {
  const WeightLayout layout(
      ClassifierConfig{.encoder = {.layers = 1, .direction = Direction::bidirectional, .proj_bias = true},
                       .pooling = Pooling::attention});
  std::set<std::string> decayed;
  for (const WeightSpec& spec : layout.specs()) {
    if (spec.decay) decayed.insert(spec.name);
  }
  EXPECT_THAT(decayed, ::testing::UnorderedElementsAre(
                           "backbone.embedding.weight", "backbone.layers.0.mixer.in_proj.weight",
                           "backbone.layers.0.mixer.conv1d.weight", "backbone.layers.0.mixer.out_proj.weight",
                           "backbone.layers.0.mixer_rev.conv1d.weight", "pool.score.weight", "head.weight"));
}

TEST(WeightLayout, PlacesTensorsApartAndAligned) {
  const WeightLayout layout(ClassifierConfig{.encoder = {.d_model = 12, .layers = 2, .d_state = 5, .headdim = 3}});
  std::vector<bool> used(static_cast<std::size_t>(layout.elements()), false);
  for (const WeightSpec& spec : layout.specs()) {
    EXPECT_EQ(spec.offset % kWeightAlignment, 0) << spec.name;
    EXPECT_EQ(spec.offset < layout.decay_elements(), spec.decay) << spec.name;
    for (std::int64_t i = 0; i < spec.shape.elements(); ++i) {
      const auto at = static_cast<std::size_t>(spec.offset + i);
      ASSERT_FALSE(used.at(at)) << spec.name;
      used[at] = true;
    }
  }
}

TEST(WeightLayout, RefusesAnInvalidConfiguration) {
  EXPECT_THROW(WeightLayout(EncoderConfig{.headdim = 48}), ContractError);
}

class WeightsOfBothTypes : public ::testing::TestWithParam<DType> {};

TEST_P(WeightsOfBothTypes, StartAsZerosAndHoldWhatIsSet) {
  const auto backend = make_ref_backend(GetParam());
  Weights weights(WeightLayout(EncoderConfig{.vocab_size = 2, .d_model = 2, .layers = 1, .headdim = 4}), *backend);
  EXPECT_EQ(ops::sum_of_squares(*backend, weights.flat()), 0.0);
  weights.set("backbone.embedding.weight", std::vector<float>{1, 2, 3, 4});
  EXPECT_THAT(weights.get("backbone.embedding.weight"), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(ops::sum_of_squares(*backend, weights.flat()), 30.0);
}

TEST_P(WeightsOfBothTypes, RefuseUnknownNamesAndWrongCounts) {
  const auto backend = make_ref_backend(GetParam());
  Weights weights(WeightLayout(EncoderConfig{.layers = 1}), *backend);
  EXPECT_FALSE(weights.find("backbone.layers.0.mixer.in_proj.bias"));
  EXPECT_THROW(weights.view("lm_head.weight"), ContractError);
  EXPECT_THROW(weights.set("backbone.norm_f.weight", std::vector<float>(3)), ContractError);
}

TEST_P(WeightsOfBothTypes, KeepTheirViewsWhenTheyMove) {
  const auto backend = make_ref_backend(GetParam());
  Weights weights(WeightLayout(EncoderConfig{.layers = 1}), *backend);
  const void* data = weights.view("backbone.norm_f.weight").data();
  const Weights moved = std::move(weights);
  EXPECT_EQ(moved.view("backbone.norm_f.weight").data(), data);
}

INSTANTIATE_TEST_SUITE_P(Types, WeightsOfBothTypes, ::testing::Values(DType::f32, DType::f64),
                         [](const auto& each) { return std::string(name_of(each.param)); });

TEST(BlockWeights, SharesTiedProjectionsBetweenDirections) {
  const auto backend = make_ref_backend();
  EncoderConfig config{.layers = 2, .direction = Direction::bidirectional};
  const Weights tied(WeightLayout(config), *backend);
  const BlockWeights block = block_weights(config, tied, 1);
  EXPECT_EQ(block.direction[0].in_proj_rd.data(), block.direction[1].in_proj_rd.data());
  EXPECT_NE(block.direction[0].conv_ck.data(), block.direction[1].conv_ck.data());
  config.tied_projections = false;
  const Weights apart(WeightLayout(config), *backend);
  const BlockWeights own = block_weights(config, apart, 1);
  EXPECT_NE(own.direction[0].out_proj_di.data(), own.direction[1].out_proj_di.data());
}

}  // namespace
}  // namespace strandline
