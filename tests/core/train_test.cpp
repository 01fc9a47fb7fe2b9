#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "core/ref/ref_backend.hpp"
#include "core/train/adamw_optimizer.hpp"
#include "core/train/clipping.hpp"
#include "core/train/schedule.hpp"
#include "core/train/trainer_state.hpp"
#include "tests/core/model_fixture.hpp"
#include "tests/core/printed_enums.hpp"

namespace strandline {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(LearningRateSchedule, WarmsUpThenFallsToItsFloor) {
  const LearningRateSchedule schedule{.peak = 1.0, .floor = 0.1, .warmup_steps = 4, .total_steps = 14};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.25);
  EXPECT_DOUBLE_EQ(schedule.at(3), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(4), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(9), 0.55);
  EXPECT_NEAR(schedule.at(13), 0.1, 0.03);
  EXPECT_DOUBLE_EQ(schedule.at(14), 0.1);
  EXPECT_DOUBLE_EQ(schedule.at(1000), 0.1);
  for (std::int64_t step = 5; step < 14; ++step) EXPECT_LT(schedule.at(step), schedule.at(step - 1));
}

TEST(LearningRateSchedule, RefusesWhatIsNotASchedule) {
  EXPECT_NO_THROW(LearningRateSchedule{}.validate());
  EXPECT_THROW((LearningRateSchedule{.peak = 0}).validate(), ContractError);
  EXPECT_THROW((LearningRateSchedule{.peak = kNan}).validate(), ContractError);
  EXPECT_THROW((LearningRateSchedule{.peak = 1e-3, .floor = 1e-2}).validate(), ContractError);
  EXPECT_THROW((LearningRateSchedule{.warmup_steps = 2, .total_steps = 1}).validate(), ContractError);
}

TEST(Clipping, ScalesOnlyWhatIsTooLong) {
  EXPECT_EQ(clip_factor(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_factor(4.0, 1.0), 0.25);
  EXPECT_EQ(clip_factor(4.0, 0.0), 1.0);
}

// A model whose gradients are set by hand.
class Optimizer : public ::testing::Test {
 protected:
  void fill(Weights& weights, float value) {
    for (const WeightSpec& spec : weights.layout().specs()) {
      weights.set(spec.name, std::vector<float>(static_cast<std::size_t>(spec.shape.elements()), value));
    }
  }
  double value_of(const Weights& weights, const std::string& name) { return weights.view(name).as<double>()[0]; }

  std::unique_ptr<Backend> backend_ = make_ref_backend();
  const WeightLayout layout_{testing::tiny_classifier()};
  Weights weights_{layout_, *backend_};
  Weights gradients_{layout_, *backend_};
};

TEST_F(Optimizer, DecaysMatricesAndLeavesTheRest) {
  fill(weights_, 2.0F);
  AdamwOptimizer optimizer({.weight_decay = 0.5}, *backend_, weights_);
  const auto result = optimizer.step({.gradients = gradients_, .learning_rate = 0.1, .update = 1});
  EXPECT_TRUE(result.applied);
  EXPECT_EQ(result.gradient_norm, 0.0);
  for (const WeightSpec& spec : layout_.specs()) {
    EXPECT_DOUBLE_EQ(value_of(weights_, spec.name), spec.decay ? 2.0 - 0.1 * 0.5 * 2.0 : 2.0) << spec.name;
  }
}

TEST_F(Optimizer, MovesByTheLearningRateInTheFirstStep) {
  fill(gradients_, -3.0F);
  AdamwOptimizer optimizer({.weight_decay = 0.0, .max_norm = 0.0}, *backend_, weights_);
  optimizer.step({.gradients = gradients_, .learning_rate = 0.1, .update = 1});
  for (const WeightSpec& spec : layout_.specs()) EXPECT_NEAR(value_of(weights_, spec.name), 0.1, 1e-8) << spec.name;
}

TEST_F(Optimizer, ClipsTheGlobalNorm) {
  fill(gradients_, 3.0F);
  const double norm = 3.0 * std::sqrt(static_cast<double>(layout_.parameters()));
  AdamwOptimizer optimizer({.max_norm = 2.0}, *backend_, weights_);
  EXPECT_NEAR(optimizer.step({.gradients = gradients_, .update = 1}).gradient_norm, norm, 1e-9);
  EXPECT_NEAR(value_of(optimizer.first_moment(), "head.weight"), 0.1 * 3.0 * 2.0 / norm, 1e-12);
}

TEST_F(Optimizer, KeepsPaddingZero) {
  fill(weights_, 1.0F);
  fill(gradients_, 1.0F);
  AdamwOptimizer optimizer({}, *backend_, weights_);
  optimizer.step({.gradients = gradients_, .learning_rate = 0.1, .update = 1});
  double expected = 0.0;
  for (const WeightSpec& spec : layout_.specs()) {
    for (const float value : weights_.get(spec.name))
      expected += static_cast<double>(value) * static_cast<double>(value);
  }
  EXPECT_NEAR(ops::sum_of_squares(*backend_, weights_.flat()), expected, 1e-4);
}

TEST_F(Optimizer, LeavesEverythingAloneWhenAGradientOrTheLossIsNotFinite) {
  fill(weights_, 2.0F);
  fill(gradients_, 1.0F);
  AdamwOptimizer optimizer({}, *backend_, weights_);
  optimizer.step({.gradients = gradients_, .learning_rate = 0.1, .update = 1});
  const auto snapshot = [&](const Weights& all) {
    const double* values = all.flat().as<double>();
    return std::vector<double>(values, values + layout_.elements());
  };
  const auto before = snapshot(weights_);
  const auto first = snapshot(optimizer.first_moment());
  const auto second = snapshot(optimizer.second_moment());
  const auto expect_untouched = [&](const OptimizerStepResult& result) {
    EXPECT_FALSE(result.applied);
    EXPECT_EQ(snapshot(weights_), before);
    EXPECT_EQ(snapshot(optimizer.first_moment()), first);
    EXPECT_EQ(snapshot(optimizer.second_moment()), second);
  };
  expect_untouched(optimizer.step({.gradients = gradients_, .learning_rate = 0.1, .loss = kNan, .update = 2}));
  for (const double bad : {kNan, std::numeric_limits<double>::infinity()}) {
    gradients_.view("head.bias").as<double>()[1] = bad;
    expect_untouched(optimizer.step({.gradients = gradients_, .learning_rate = 0.1, .update = 2}));
  }
}

TEST_F(Optimizer, RefusesOptionsOutsideTheirRange) {
  for (const AdamwOptions& options : {AdamwOptions{.beta1 = 1.0}, AdamwOptions{.beta2 = -0.1}, AdamwOptions{.eps = 0.0},
                                      AdamwOptions{.weight_decay = kNan}, AdamwOptions{.max_norm = -1.0}}) {
    EXPECT_THROW(AdamwOptimizer(options, *backend_, weights_), ContractError);
  }
}

TEST(TrainerState, CountsUpdatesWithoutSkippedSteps) {
  EXPECT_EQ((TrainerState{.step = 10, .skipped_steps = 3}).updates(), 7);
}

// A toy task that needs order, not counts: does the sequence hold "1 2" or "2 1"?
struct ToyBatch {
  PackedBatch batch;
  std::vector<std::int32_t> labels;
};

ToyBatch toy_batch(std::uint64_t seed) {
  RandomStream random(seed, 0);
  ToyBatch toy;
  for (int s = 0; s < 16; ++s) {
    std::vector<std::int32_t> ids(10 + random.below(20), 0);
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(3 + random.below(4));
    const std::size_t place = random.below(ids.size() - 1);
    const bool swapped = random.below(2) == 1;
    ids[place] = swapped ? 2 : 1;
    ids[place + 1] = swapped ? 1 : 2;
    toy.batch.add(ids);
    toy.labels.push_back(swapped ? 1 : 0);
  }
  return toy;
}

class ToyTask {
 public:
  ToyTask(const EncoderConfig& encoder, Backend& backend)
      : classifier_({.encoder = encoder, .classes = 2, .pooling = Pooling::mean}, backend),
        optimizer_({}, backend, classifier_.weights()) {
    classifier_.initialise(1);
  }

  /// Optimiser steps up to `end`; data and dropout are functions of the step. Returns the last step's result.
  TrainStepResult run_to(std::int64_t end) {
    TrainStepResult result;
    for (; state_.step < end; ++state_.step) {
      const ToyBatch toy = toy_batch(static_cast<std::uint64_t>(state_.step));
      classifier_.zero_gradients();
      result = classifier_.train_step(
          toy.batch, toy.labels,
          {.scale = 1.0 / 16, .dropout = {.seed = 5, .draw = static_cast<std::uint64_t>(state_.step)}});
      optimizer_.step({.gradients = classifier_.gradients(),
                       .learning_rate = 3e-3,
                       .loss = result.loss_sum,
                       .update = state_.updates() + 1});
    }
    return result;
  }

  /// Everything that a checkpoint holds.
  void copy_state(ToyTask& from) {
    const auto copy = [](const Weights& source, Weights& target) {
      for (const WeightSpec& spec : source.layout().specs()) target.set(spec.name, source.get(spec.name));
    };
    copy(from.classifier_.weights(), classifier_.weights());
    copy(from.optimizer_.first_moment(), optimizer_.first_moment());
    copy(from.optimizer_.second_moment(), optimizer_.second_moment());
    state_ = from.state_;
  }

  Classifier& classifier() { return classifier_; }

 private:
  Classifier classifier_;
  AdamwOptimizer optimizer_;
  TrainerState state_;
};

EncoderConfig toy_encoder(Direction direction) {
  return {.vocab_size = 7,
          .d_model = 16,
          .layers = 2,
          .d_state = 8,
          .headdim = 8,
          .chunk = 16,
          .dropout = 0.05,
          .direction = direction};
}

class Training : public ::testing::TestWithParam<Direction> {};

TEST_P(Training, LearnsATaskThatNeedsOrder) {
  const auto backend = make_cpu_backend({.threads = 1});
  ToyTask task(toy_encoder(GetParam()), *backend);
  const double first = task.run_to(1).loss_sum;
  const TrainStepResult last = task.run_to(400);
  EXPECT_NEAR(first / 16, std::log(2.0), 0.2);
  EXPECT_LT(last.loss_sum / 16, 0.05);
  EXPECT_EQ(last.correct, 16);
}

TEST_P(Training, ResumesFromItsStateToTheSameBits) {
  const auto backend = make_cpu_backend({.threads = 2});
  ToyTask uninterrupted(toy_encoder(GetParam()), *backend);
  uninterrupted.run_to(3);
  ToyTask resumed(toy_encoder(GetParam()), *backend);
  resumed.copy_state(uninterrupted);
  uninterrupted.run_to(8);
  resumed.run_to(8);
  for (const WeightSpec& spec : uninterrupted.classifier().weights().layout().specs()) {
    EXPECT_EQ(resumed.classifier().weights().get(spec.name), uninterrupted.classifier().weights().get(spec.name))
        << spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Directions, Training, ::testing::Values(Direction::causal, Direction::bidirectional),
                         [](const auto& each) {
                           return each.param == Direction::causal ? std::string("Causal")
                                                                  : std::string("Bidirectional");
                         });

}  // namespace
}  // namespace strandline
