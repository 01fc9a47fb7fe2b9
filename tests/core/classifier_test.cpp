#include "core/model/classifier.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "core/base/error.hpp"
#include "core/model/classifier_stream.hpp"
#include "core/ref/ref_backend.hpp"
#include "tests/core/backends.hpp"
#include "tests/core/model_fixture.hpp"

namespace strandline {
namespace {

using testing::BackendCase;
using testing::ids_of;
using testing::logits_of;
using testing::pack_of;

constexpr Pooling kPoolings[] = {Pooling::mean, Pooling::last, Pooling::max, Pooling::attention};

ClassifierConfig pooled_by(Pooling pooling) {
  ClassifierConfig config = testing::tiny_classifier();
  config.pooling = pooling;
  return config;
}

std::unique_ptr<Classifier> scrambled(const ClassifierConfig& config, Backend& backend) {
  auto classifier = std::make_unique<Classifier>(config, backend);
  testing::scramble(config.encoder, 6, classifier->weights());
  return classifier;
}

class ClassifierResult : public ::testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override { backend_ = testing::make_or_skip(GetParam()); }
  std::unique_ptr<Backend> backend_;
  const std::vector<std::int64_t> lengths_{7, 1, 0, 40, 13};
  const PackedBatch pack_ = testing::random_pack(lengths_, 7, 30);
};

TEST_P(ClassifierResult, HasTheSameBitsAloneAndInAPack) {
  for (const Pooling pooling : kPoolings) {
    const auto classifier = scrambled(pooled_by(pooling), *backend_);
    const std::vector<float> together = logits_of(*classifier, pack_);
    for (std::size_t s = 0; s < lengths_.size(); ++s) {
      const std::vector<float> alone = logits_of(*classifier, pack_of(ids_of(pack_, s)));
      EXPECT_EQ(alone, std::vector(together.begin() + s * 3, together.begin() + (s + 1) * 3)) << "sequence " << s;
    }
  }
}

TEST_P(ClassifierResult, StreamsInAnySplitWithTheBitsOfOneShot) {
  for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::max}) {
    const auto classifier = scrambled(pooled_by(pooling), *backend_);
    std::vector<float> expected_logits(lengths_.size() * 3);
    std::vector<float> expected_pooled(lengths_.size() * 6);
    classifier->predict(pack_, expected_logits, expected_pooled);
    for (const std::size_t split : {1, 5, 40}) {
      ClassifierStream stream(*classifier, 8);
      for (std::size_t s = 0; s < lengths_.size(); ++s) {
        const auto ids = ids_of(pack_, s);
        for (std::size_t at = 0; at < ids.size(); at += split) {
          stream.push(ids.subspan(at, std::min(split, ids.size() - at)));
        }
        std::vector<float> logits(3);
        std::vector<float> pooled(6);
        stream.finish(logits, pooled);
        EXPECT_EQ(logits, std::vector(expected_logits.begin() + s * 3, expected_logits.begin() + (s + 1) * 3));
        EXPECT_EQ(pooled, std::vector(expected_pooled.begin() + s * 6, expected_pooled.begin() + (s + 1) * 6));
      }
    }
  }
}

TEST_P(ClassifierResult, AgreesBetweenPredictEmbedAndHead) {
  const auto classifier = scrambled(pooled_by(Pooling::mean), *backend_);
  const std::vector<float> expected = logits_of(*classifier, pack_);
  std::vector<float> pooled(lengths_.size() * 6);
  classifier->embed(pack_, pooled);
  std::vector<float> both_logits(expected.size());
  std::vector<float> both_pooled(pooled.size());
  classifier->predict(pack_, both_logits, both_pooled);
  EXPECT_EQ(both_logits, expected);
  EXPECT_EQ(both_pooled, pooled);
}

TEST_P(ClassifierResult, GivesAnEmptySequenceTheHeadsBias) {
  const auto classifier = scrambled(pooled_by(Pooling::mean), *backend_);
  EXPECT_EQ(logits_of(*classifier, pack_of({})), classifier->weights().get("head.bias"));
}

TEST_P(ClassifierResult, RepeatsATrainingStepToTheBit) {
  ClassifierConfig config = pooled_by(Pooling::attention);
  config.encoder.dropout = 0.2;
  const std::vector<std::int32_t> labels{0, 1, 2, 0, 1};
  const auto gradient_of = [&](const DropoutDraw& draw) {
    const auto classifier = scrambled(config, *backend_);
    classifier->train_step(pack_, labels, {.dropout = draw});
    return classifier->gradients().get("backbone.layers.1.mixer.in_proj.weight");
  };
  const std::vector<float> first = gradient_of({.seed = 1, .draw = 0});
  EXPECT_EQ(gradient_of({.seed = 1, .draw = 0}), first);
  EXPECT_NE(gradient_of({.seed = 1, .draw = 1}), first);
  EXPECT_NE(gradient_of({.seed = 2, .draw = 0}), first);
}

INSTANTIATE_TEST_SUITE_P(Backends, ClassifierResult, ::testing::ValuesIn(testing::backend_cases()),
                         [](const auto& each) { return each.param.name; });

class ClassifierContract : public ::testing::Test {
 protected:
  std::unique_ptr<Backend> backend_ = make_ref_backend();
  std::unique_ptr<Classifier> classifier_ = scrambled(testing::tiny_classifier(), *backend_);
  const PackedBatch pack_ = pack_of(testing::random_ids(9, 7, 1));
};

TEST_F(ClassifierContract, CountsSequencesWhoseLargestLogitIsTheLabel) {
  const std::vector<float> logits = logits_of(*classifier_, pack_);
  const auto best = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  EXPECT_EQ(classifier_->train_step(pack_, std::vector{best}, {}).correct, 1);
  EXPECT_EQ(classifier_->train_step(pack_, std::vector{(best + 1) % 3}, {}).correct, 0);
}

TEST_F(ClassifierContract, ReportsTheLossWithoutItsScale) {
  std::vector<double> probabilities(3);
  class_probabilities(logits_of(*classifier_, pack_), probabilities);
  const std::vector<float> class_weights{1.0F, 3.0F, 1.0F};
  const auto result = classifier_->train_step(pack_, std::vector{1}, {.class_weights = class_weights, .scale = 0.125});
  EXPECT_NEAR(result.loss_sum, -3.0 * std::log(probabilities[1]), 1e-5);
}

TEST_F(ClassifierContract, AddsToTheGradientsInProportionToTheScale) {
  classifier_->train_step(pack_, std::vector{1}, {});
  const double once = ops::sum_of_squares(*backend_, classifier_->gradients().flat());
  classifier_->train_step(pack_, std::vector{1}, {.scale = 2.0});
  EXPECT_NEAR(ops::sum_of_squares(*backend_, classifier_->gradients().flat()), 9 * once, 1e-9 * once);
}

TEST_F(ClassifierContract, RefusesWrongLabelsAndCounts) {
  std::vector<float> logits(2);
  EXPECT_THROW(classifier_->predict(pack_, logits), ContractError);
  EXPECT_THROW(classifier_->embed(pack_, logits), ContractError);
  EXPECT_THROW(classifier_->train_step(pack_, std::vector{3}, {}), ContractError);
  EXPECT_THROW(classifier_->train_step(pack_, std::vector{-1}, {}), ContractError);
  EXPECT_THROW(classifier_->train_step(pack_, std::vector{1, 1}, {}), ContractError);
  const std::vector<float> two(2);
  EXPECT_THROW(classifier_->train_step(pack_, std::vector{1}, {.class_weights = two}), ContractError);
}

TEST_F(ClassifierContract, TakesAnEmptyBatch) {
  const PackedBatch none;
  EXPECT_NO_THROW(classifier_->predict(none, {}));
  EXPECT_EQ(classifier_->train_step(none, {}, {}).loss_sum, 0.0);
}

TEST_F(ClassifierContract, SaysWhatCannotBeStreamed) {
  EXPECT_TRUE(ClassifierStream::supports(testing::tiny_classifier()));
  EXPECT_FALSE(ClassifierStream::supports(pooled_by(Pooling::attention)));
  const auto attention = scrambled(pooled_by(Pooling::attention), *backend_);
  EXPECT_THROW(ClassifierStream{*attention}, ContractError);
  const ClassifierConfig config{.encoder = testing::tiny_bidirectional(true, Combine::add)};
  EXPECT_FALSE(ClassifierStream::supports(config));
  const auto bidirectional = scrambled(config, *backend_);
  EXPECT_THROW(ClassifierStream{*bidirectional}, ContractError);
}

TEST(ClassProbabilities, SumToOneForAnyLogits) {
  std::vector<double> probabilities(3);
  class_probabilities(std::vector<float>{1000.0F, 1000.0F, -1000.0F}, probabilities);
  EXPECT_DOUBLE_EQ(probabilities[0], 0.5);
  EXPECT_DOUBLE_EQ(probabilities[1], 0.5);
  EXPECT_EQ(probabilities[2], 0.0);
  class_probabilities(std::vector<float>{0.0F, std::log(2.0F), 0.0F}, probabilities);
  EXPECT_NEAR(probabilities[1], 0.5, 1e-7);
}

}  // namespace
}  // namespace strandline
