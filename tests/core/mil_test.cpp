// What the aggregators promise: sizes, orders, attention in the order of the bag, gradients, same bits.
#include "core/model/mil/mil_model.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/model/mil/instance_loss.hpp"
#include "core/model/mil/mil_orders.hpp"
#include "core/model/mil/mil_weights.hpp"
#include "core/ref/ref_backend.hpp"
#include "tests/core/model_fixture.hpp"

namespace strandline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Bag {
  std::vector<float> features;
  std::int64_t patches;
  BagView view() const { return {features, patches}; }
};

Bag random_bag(std::int64_t patches, std::int64_t width, std::uint64_t stream = 1) {
  Bag bag{std::vector<float>(static_cast<std::size_t>(patches * width)), patches};
  RandomStream random(20240521, stream);
  for (float& value : bag.features) value = static_cast<float>(random.normal());
  return bag;
}

MilConfig with(MilConfig config, const std::function<void(MilConfig&)>& change) {
  change(config);
  return config;
}

struct MilCase {
  std::string name;
  MilConfig config;
  friend std::ostream& operator<<(std::ostream& out, const MilCase& each) { return out << each.name; }
};

std::vector<MilCase> cases() {
  std::vector<MilCase> all;
  for (const MilKind kind : {MilKind::mean, MilKind::max, MilKind::abmil, MilKind::clam_sb, MilKind::trans_mil,
                             MilKind::mamba2_mil, MilKind::bi_mamba}) {
    all.push_back({std::string(name_of(kind)), testing::tiny_mil(kind)});
  }
  all.push_back({"abmil_gated", with(testing::tiny_mil(MilKind::abmil), [](MilConfig& c) { c.gated = true; })});
  all.push_back({"mamba2mil_token", with(testing::tiny_mil(MilKind::mamba2_mil), [](MilConfig& c) {
                   c.flip = Flip::token;
                   c.padding = SquarePadding::none;
                   c.dropout = 0.3;
                 })});
  return all;
}

// Initialised, then moved away from the zeros and ones at which mistakes cancel.
void scramble(MilModel& model) {
  model.initialise(5);
  std::uint64_t stream = 1000;
  for (const WeightSpec& spec : model.weights().layout().specs()) {
    RandomStream random(5, stream++);
    std::vector<float> values = model.weights().get(spec.name);
    for (float& value : values) value += static_cast<float>(0.2 * random.normal());
    model.weights().set(spec.name, values);
  }
}

struct Predicted {
  std::vector<float> logits;
  std::vector<float> attention;
  std::vector<float> pooled;
  bool operator==(const Predicted&) const = default;
};

Predicted predicted(MilModel& model, const Bag& bag) {
  Predicted result{std::vector<float>(static_cast<std::size_t>(model.config().classes)),
                   std::vector<float>(static_cast<std::size_t>(bag.patches)),
                   std::vector<float>(static_cast<std::size_t>(model.config().d_model))};
  model.predict(bag.view(), {.logits = result.logits, .attention = result.attention, .pooled = result.pooled});
  return result;
}

std::vector<float> all_gradients(MilModel& model) {
  std::vector<float> all;
  for (const WeightSpec& spec : model.weights().layout().specs()) {
    const std::vector<float> own = model.gradients().get(spec.name);
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

class Mil : public ::testing::TestWithParam<MilCase> {};

TEST_P(Mil, GradientsMatchFiniteDifferences) {
  const auto backend = make_ref_backend();
  MilModel model(GetParam().config, *backend, {.segment_patches = 4});
  scramble(model);
  const Bag bag = random_bag(7, 10);
  const MilTrainArgs args{
      .label = 2, .class_weight = 1.5, .label_smoothing = 0.1, .scale = 0.5, .dropout = {.seed = 9, .draw = 4}};
  const auto loss = [&] { return model.train_step(bag.view(), args).loss; };
  model.zero_gradients();
  loss();
  // train_step adds to the gradients: they are kept here, in double.
  std::vector<std::vector<double>> kept;
  double largest = 0.0;
  for (const WeightSpec& spec : model.weights().layout().specs()) {
    const double* values = model.gradients().view(spec.name).as<double>();
    kept.emplace_back(values, values + spec.shape.elements());
    for (const double value : kept.back()) largest = std::max(largest, std::fabs(value));
  }
  ASSERT_GT(largest, 0.0);
  std::size_t tensor = 0;
  for (const WeightSpec& spec : model.weights().layout().specs()) {
    const std::vector<double>& gradient = kept[tensor++];
    double* weights = model.weights().view(spec.name).as<double>();
    for (std::size_t i = 0; i < gradient.size(); i += 1 + gradient.size() / 5) {
      constexpr double kStep = 1e-5;
      const double before = weights[i];
      weights[i] = before + kStep;
      const double above = loss();
      weights[i] = before - kStep;
      const double below = loss();
      weights[i] = before;
      // scale is of the gradient alone
      EXPECT_NEAR(gradient[i], 0.5 * (above - below) / (2 * kStep), 1e-7 + 1e-6 * largest) << spec.name << " " << i;
    }
  }
}

TEST_P(Mil, GivesTheSameBitsForAnyNumberOfThreadsAndTwice) {
  const Bag bag = random_bag(700, 10);
  const MilTrainArgs args{.label = 1, .dropout = {.seed = 9, .draw = 4}};
  const auto run = [&](int threads) {
    const auto backend = make_cpu_backend({.threads = threads});
    MilModel model(GetParam().config, *backend);
    scramble(model);
    model.train_step(bag.view(), args);
    return std::pair(predicted(model, bag), all_gradients(model));
  };

  const auto alone = run(1);

  EXPECT_EQ(run(1), alone);
  EXPECT_EQ(run(2), alone);
  EXPECT_EQ(run(3), alone);
}

TEST_P(Mil, PredictsTheSameBitsInAnySegments) {
  const auto backend = make_cpu_backend({.threads = 2});
  const Bag bag = random_bag(70, 10);
  const auto run = [&](std::int64_t segment_patches) {
    MilModel model(GetParam().config, *backend, {.segment_patches = segment_patches});
    scramble(model);
    return predicted(model, bag);
  };

  EXPECT_EQ(run(8), run(16384));
  EXPECT_EQ(run(1), run(16384));
}

TEST_P(Mil, TakesBagsOfEverySizeAndGivesEachPatchItsShare) {
  const auto backend = make_cpu_backend({.threads = 1});
  MilModel model(GetParam().config, *backend);
  scramble(model);
  for (const std::int64_t patches : {1, 2, 3, 4, 5, 8, 9, 10, 17}) {
    const Predicted result = predicted(model, random_bag(patches, 10));
    const double sum = std::accumulate(result.attention.begin(), result.attention.end(), 0.0);
    for (const float logit : result.logits) EXPECT_TRUE(std::isfinite(logit)) << patches;
    if (GetParam().config.kind != MilKind::trans_mil) {  // whose shares may be negative and pay the class token too
      for (const float share : result.attention) EXPECT_GE(share, 0.0F) << patches;
      EXPECT_NEAR(sum, 1.0, 1e-5) << patches;  // up to 75 terms, each rounded to 6e-8 of at most 1
    }
    EXPECT_TRUE(std::isfinite(model.train_step(random_bag(patches, 10).view(), {.label = 1}).loss)) << patches;
  }
}

TEST_P(Mil, DropsByTheDrawAndOnlyInTraining) {
  if (GetParam().config.dropout == 0.0) return;
  const auto backend = make_cpu_backend({.threads = 1});
  MilModel model(GetParam().config, *backend);
  scramble(model);
  const Bag bag = random_bag(30, 10);
  const auto loss = [&](std::uint64_t draw) {
    return model.train_step(bag.view(), {.dropout = {.seed = 3, .draw = draw}}).loss;
  };

  EXPECT_EQ(loss(1), loss(1));
  EXPECT_NE(loss(1), loss(2));
  EXPECT_EQ(predicted(model, bag), predicted(model, bag));
}

TEST_P(Mil, RefusesWhatCannotBeABag) {
  const auto backend = make_cpu_backend({.threads = 1});
  MilModel model(GetParam().config, *backend);
  const Bag bag = random_bag(3, 10);
  const auto message = [](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const ContractError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };

  EXPECT_THAT(message([&] { model.predict({}, {}); }), HasSubstr("the bag has 0 patches"));
  EXPECT_THAT(message([&] {
                model.predict({bag.features, 4}, {});
              }),
              HasSubstr("features has 30 values; it must have 40"));
  EXPECT_THAT(message([&] { model.train_step(bag.view(), {.label = 3}); }),
              HasSubstr("label 3 is outside the 3 classes"));
}

INSTANTIATE_TEST_SUITE_P(Of, Mil, ::testing::ValuesIn(cases()), [](const auto& each) { return each.param.name; });

// slides.md counts 10,513,187 numbers in the released Mamba2MIL for 1024 features and 2 classes, and the CLAM_SB of the
// same repository is reported with 790,791.
TEST(MilLayout, HasAsManyNumbersAsThePublishedModels) {
  EXPECT_EQ(mil_layout(published_config(MilKind::mamba2_mil, 1024, 2)).parameters(), 10513187);
  EXPECT_EQ(mil_layout(published_config(MilKind::clam_sb, 1024, 2)).parameters(), 790791);
}

TEST(MilConfig, HasANameForEveryKindAndFindsItBack) {
  for (const MilKind kind : {MilKind::mean, MilKind::max, MilKind::abmil, MilKind::clam_sb, MilKind::trans_mil,
                             MilKind::mamba2_mil, MilKind::bi_mamba}) {
    EXPECT_EQ(mil_kind_of(name_of(kind)), kind);
  }
  EXPECT_EQ(mil_kind_of("none"), std::nullopt);
}

TEST(MilConfig, NamesTheFieldThatIsWrong) {
  MilConfig config = testing::tiny_mil(MilKind::mamba2_mil);
  config.headdim = 7;
  try {
    config.validate();
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), HasSubstr("headdim is 7"));
  }
}

TEST(MilOrders, TransposeASquareColumnByColumn) {
  // 0 1 2
  // 3 4 5
  // 6 7 8
  EXPECT_THAT(branch_order(2, 9, Flip::channel), ElementsAre(0, 3, 6, 1, 4, 7, 2, 5, 8));
  // 0 1 2
  // 3 4 5
  // 6
  EXPECT_THAT(branch_order(2, 7, Flip::channel), ElementsAre(0, 3, 6, 1, 4, 2, 5));
  EXPECT_THAT(branch_order(1, 4, Flip::token), ElementsAre(3, 2, 1, 0));
  EXPECT_THAT(branch_order(1, 4, Flip::channel), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(branch_order(0, 4, Flip::token), ElementsAre(0, 1, 2, 3));
}

TEST(MilOrders, PadToTheNextSquareUnlessToldNot) {
  EXPECT_EQ(square_tokens(1, SquarePadding::wrap), 1);
  EXPECT_EQ(square_tokens(16, SquarePadding::wrap), 16);
  EXPECT_EQ(square_tokens(17, SquarePadding::wrap), 25);
  EXPECT_EQ(square_tokens(1 << 20, SquarePadding::wrap), 1 << 20);
  EXPECT_EQ(square_tokens(17, SquarePadding::none), 17);
}

TEST(MilOrders, AreUndoneByTheirInverse) {
  const std::vector<std::int32_t> order = branch_order(2, 23, Flip::token);
  const std::vector<std::int32_t> inverse = inverse_of(order);
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(inverse[static_cast<std::size_t>(order[i])], i);
}

TEST(InstanceLoss, ChoosesTheExtremesAndTakesWhatASmallBagHas) {
  const std::vector<double> scores{0.5, 2.0, -1.0, 2.0};

  const ExtremePatches two = extreme_patches(scores, 2);
  const ExtremePatches many = extreme_patches(scores, 8);

  EXPECT_THAT(two.largest, ElementsAre(1, 3));
  EXPECT_THAT(two.smallest, ElementsAre(2, 0));
  EXPECT_THAT(many.largest, ElementsAre(1, 3, 0, 2));
  EXPECT_THAT(many.smallest, ElementsAre(2, 0, 1, 3));
}

// The blocks are those of an encoder: with the projected patches as its embedding, and equal attention for all, the
// pooled vector is the mean of the encoder's hidden states.
TEST(BiMamba, IsABidirectionalEncoderOverTheProjectedPatches) {
  const MilConfig config = testing::tiny_mil(MilKind::bi_mamba);
  const auto backend = make_ref_backend();
  MilModel model(config, *backend);
  scramble(model);
  model.weights().set("attention.score.weight", std::vector<float>(7, 0.0F));
  const Bag bag = random_bag(11, 10);
  MilModel projection(
      with(testing::tiny_mil(MilKind::mean), [](MilConfig& c) { c.activation = ops::ActivationKind::gelu; }), *backend);
  for (const char* name : {"stem.weight", "stem.bias"}) projection.weights().set(name, model.weights().get(name));
  std::vector<float> embedding;
  for (std::int64_t n = 0; n < bag.patches; ++n) {  // the mean of one patch is the patch
    const Bag one{{bag.features.begin() + n * 10, bag.features.begin() + (n + 1) * 10}, 1};
    const std::vector<float> h = predicted(projection, one).pooled;
    embedding.insert(embedding.end(), h.begin(), h.end());
  }
  EncoderConfig encoder_config = config.encoder();
  encoder_config.vocab_size = bag.patches;
  Weights weights(WeightLayout(encoder_config), *backend);
  for (const WeightSpec& spec : weights.layout().specs()) {
    weights.set(spec.name, spec.name == "backbone.embedding.weight" ? embedding : model.weights().get(spec.name));
  }
  Encoder encoder(encoder_config, *backend, weights);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(bag.patches));
  std::iota(ids.begin(), ids.end(), 0);
  PackedBatch batch;
  batch.add(ids);
  Buffer hidden_td(backend->memory(), DType::f64, {bag.patches, config.d_model});
  encoder.forward(batch, hidden_td.view());

  const std::vector<float> pooled = predicted(model, bag).pooled;

  const double* hidden = hidden_td.view().as<double>();
  for (std::int64_t d = 0; d < config.d_model; ++d) {
    double mean = 0.0;
    for (std::int64_t n = 0; n < bag.patches; ++n) mean += hidden[n * config.d_model + d] / 11.0;
    // The embedding went through float: 6e-8 of values near one, times the slopes of two blocks.
    EXPECT_NEAR(pooled[static_cast<std::size_t>(d)], mean, 1e-5) << d;
  }
}

}  // namespace
}  // namespace strandline
