#include "pipelines/run/trainer.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <memory>

#include "core/base/error.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "pipelines/dna/window_sampler.hpp"
#include "pipelines/run/model_store.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/pipelines/genomes_for_tests.hpp"

namespace strandline {
namespace {

using ::testing::ContainsRegex;
using testing::message_of;

ClassifierConfig tiny_config() {
  ClassifierConfig config;
  config.encoder.d_model = 16;
  config.encoder.layers = 1;
  config.encoder.d_state = 8;
  config.encoder.headdim = 8;
  config.encoder.chunk = 16;
  config.encoder.dropout = 0.1;
  return config;
}

std::vector<std::vector<std::byte>> bytes_of(const std::vector<NamedTensor>& tensors) {
  std::vector<std::vector<std::byte>> bytes;
  for (const NamedTensor& tensor : tensors) bytes.push_back(tensor.data);
  return bytes;
}

// A poor and a rich genome, and a model that tells them apart after a few steps.
class TrainerTest : public ::testing::Test {
 protected:
  // One run in one process: model, optimiser and trainer from nothing, as after a restart.
  struct Process {
    Process(const TrainerTest& test, const TrainerOptions& options)
        : backend(make_cpu_backend({.threads = 1})), classifier(tiny_config(), *backend) {
      classifier.initialise(1);
      trainer = std::make_unique<Trainer>(classifier, test.training_, test.validation_, options);
    }

    std::vector<std::vector<std::byte>> weights() const { return bytes_of(tensors_of(classifier.weights())); }

    std::unique_ptr<Backend> backend;
    Classifier classifier;
    std::unique_ptr<Trainer> trainer;
  };

  static TrainerOptions options() {
    TrainerOptions out;
    out.schedule = {.peak = 2e-2, .floor = 1e-3, .warmup_steps = 2, .total_steps = 12};
    out.examples_per_step = 6;
    out.micro_batch_tokens = 200;
    out.evaluate_every = 4;
    out.seed = 3;
    return out;
  }

  // The history without the one number that differs from run to run.
  static TrainingHistory timeless(TrainingHistory history) {
    history.seconds = 0;
    return history;
  }

  GenomeStore store_ = testing::two_class_store();
  std::vector<std::vector<Region>> regions_{{{0, 0, 4000}}, {{3, 0, 4000}}};
  std::vector<std::vector<Region>> held_out_{{{0, 4000, 5000}}, {{3, 4000, 5000}}};
  WindowSampler training_{store_, regions_, {"poor", "rich"}, {.min_length = 40, .max_length = 80, .seed = 2}};
  WindowTiling validation_{store_, held_out_, {"poor", "rich"}, {.length = 60, .windows_per_class = 8}};
  testing::TemporaryFolder folder_;
};

TEST_F(TrainerTest, LearnsToTellTwoGenomesApart) {
  TrainerOptions longer = options();
  longer.schedule.total_steps = 60;
  Process process(*this, longer);

  process.trainer->run({});

  const TrainingHistory& history = process.trainer->history();
  EXPECT_EQ(history.state.step, 60);
  EXPECT_LT(history.best_loss, 0.5 * history.validations.front().loss + 0.2);
  EXPECT_GE(history.validations.back().accuracy, 0.9);
  EXPECT_EQ(history.validations.back().step, 60);
}

TEST_F(TrainerTest, ResumesFromAnyStepToTheSameBits) {
  Process whole(*this, options());
  whole.trainer->run({});

  for (const std::int64_t stop_after : {1, 4, 7, 11}) {
    const CheckpointStore store(folder_ / ("ckpt" + std::to_string(stop_after)), "{}");
    std::stop_source stop;
    TrainerCallbacks callbacks;
    callbacks.progress = [&](const TrainingProgress& progress) {
      if (progress.step == stop_after) stop.request_stop();
    };
    Process first(*this, options());
    EXPECT_THROW(first.trainer->run(stop.get_token(), {.store = &store}, callbacks), InterruptedError);

    Process second(*this, options());
    const auto checkpoint = store.load();
    ASSERT_TRUE(checkpoint.has_value());
    EXPECT_EQ(checkpoint->step, stop_after);
    second.trainer->restore(*checkpoint);
    second.trainer->run({}, {.store = &store});

    EXPECT_EQ(second.weights(), whole.weights()) << "stopped after " << stop_after;
    EXPECT_EQ(timeless(second.trainer->history()), timeless(whole.trainer->history()));
  }
}

TEST_F(TrainerTest, GivesTheSameBitsForAnyNumberOfCheckpoints) {
  Process without(*this, options());
  without.trainer->run({});
  const CheckpointStore store(folder_ / "ckpt", "{}");
  Process with(*this, options());
  with.trainer->run({}, {.store = &store, .every_steps = 1});

  EXPECT_EQ(with.weights(), without.weights());
}

TEST_F(TrainerTest, StopsEarlyAndKeepsTheBestWeights) {
  TrainerOptions impatient = options();
  impatient.schedule = {
      .peak = 5.0, .floor = 5.0, .warmup_steps = 0, .total_steps = 400};  // far too fast: the loss goes up and down
  impatient.evaluate_every = 1;
  impatient.patience = 3;
  Process process(*this, impatient);

  process.trainer->run({});

  const TrainingHistory& history = process.trainer->history();
  EXPECT_LT(history.state.step, 400);
  EXPECT_EQ(history.evaluations_since_best, 3);
  EXPECT_EQ(history.best_step, history.state.step - 3);
  EXPECT_EQ(process.weights(), bytes_of(process.trainer->checkpoint().best));
}

TEST_F(TrainerTest, SkipsAStepWithoutAFiniteGradientAndGoesOn) {
  Process process(*this, options());
  std::vector<std::vector<std::byte>> before;
  TrainerCallbacks callbacks;
  callbacks.after_backward = [&](std::int64_t step, Weights& gradients) {
    if (step == 5) {
      before = process.weights();
      gradients.flat().as<float>()[7] = std::numeric_limits<float>::quiet_NaN();
    }
    if (step == 6) {
      EXPECT_EQ(process.weights(), before);
    }
  };

  process.trainer->run({}, {}, callbacks);

  EXPECT_EQ(process.trainer->history().state.step, 12);
  EXPECT_EQ(process.trainer->history().state.skipped_steps, 1);
  EXPECT_EQ(process.trainer->history().skipped_in_a_row, 0);
}

TEST_F(TrainerTest, GivesUpAfterTooManySuchStepsAndLeavesTheLastGoodCheckpoint) {
  TrainerOptions strict = options();
  strict.most_skipped_in_a_row = 3;
  Process process(*this, strict);
  const CheckpointStore store(folder_ / "ckpt", "{}");
  std::vector<std::vector<std::byte>> before;
  TrainerCallbacks callbacks;
  callbacks.after_backward = [&](std::int64_t step, Weights& gradients) {
    if (step < 6) return;
    if (step == 6) before = process.weights();
    gradients.flat().as<float>()[0] = std::numeric_limits<float>::infinity();
  };

  const std::string message =
      message_of<NumericError>([&] { process.trainer->run({}, {.store = &store, .every_steps = 1}, callbacks); });

  EXPECT_THAT(message, ContainsRegex("3 steps in a row.*examples 48 to 53"));
  EXPECT_EQ(process.weights(), before);
  const auto checkpoint = store.load();
  ASSERT_TRUE(checkpoint.has_value());
  EXPECT_EQ(bytes_of(checkpoint->weights), before);
}

TEST_F(TrainerTest, RefusesOptionsThatMakeNoSense) {
  TrainerOptions wrong = options();
  wrong.class_weights = {1.0F};
  EXPECT_THROW(Process(*this, wrong), ContractError);
  wrong = options();
  wrong.examples_per_step = 0;
  EXPECT_THROW(Process(*this, wrong), ContractError);
}

TEST_F(TrainerTest, KeepsItsHistoryThroughJson) {
  TrainingHistory history;
  history.state = {3, 1, 4, 1, 5};
  history.losses = {{1, 0.1, 1.0 / 3, 1e-300, 2e7}};
  history.validations = {{2, 0.30000000000000004, 0.5}};
  history.open = {2, 7, 1, 0.7, 0.9};
  history.best_loss = 5e-324;

  EXPECT_EQ(training_history_from_json(to_json(history), "x"), history);
  EXPECT_THROW(training_history_from_json("{}", "x"), DataError);
}

}  // namespace
}  // namespace strandline
