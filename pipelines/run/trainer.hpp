// Trains a model on examples: a loop that can be killed at any moment and goes on to the same bits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "core/model/classifier.hpp"
#include "pipelines/run/checkpoint_store.hpp"
#include "pipelines/run/example_source.hpp"
#include "pipelines/run/learner.hpp"
#include "pipelines/run/trainer_options.hpp"
#include "pipelines/run/training_history.hpp"

namespace strandline {

struct CheckpointPolicy {
  const CheckpointStore* store = nullptr;  ///< absent: no checkpoints
  std::chrono::duration<double> every{600};
  std::int64_t every_steps = 0;  ///< beside the time; 0: by time alone
};

struct TrainingProgress {
  std::int64_t step = 0;  ///< steps done
  std::int64_t steps = 0;
  double loss = 0;                  ///< of the last step
  double validation_accuracy = -1;  ///< of the last evaluation; negative: none yet
  double tokens_per_second = 0;     ///< of this process
  double seconds_left = 0;
};

struct TrainerCallbacks {
  std::function<void(const TrainingProgress&)> progress;
  /// Between backward and the optimiser; for tests that inject faults.
  std::function<void(std::int64_t step, Weights& gradients)> after_backward;
};

/// Data order, dropout and schedule are functions of (seed, step), so that a run is its history, weights and moments.
/// All are in a checkpoint. Validation examples choose the weights that are kept; they should not be those that judge
/// the model in the end.
class Trainer {
 public:
  /// The model has its first weights; everything given must outlive the trainer.
  Trainer(Learner& learner, TrainerOptions options);
  /// Of a classifier of token sequences.
  Trainer(Classifier& classifier, const ExampleSource& training, const ExampleSource& validation,
          TrainerOptions options);

  /// Goes on from a checkpoint. @throws DataError when it is of another model.
  void restore(const Checkpoint& checkpoint);
  Checkpoint checkpoint();

  /// Trains to the end and leaves the best weights (smallest validation loss, the earlier of equals) in the model.
  /// @throws InterruptedError when asked to stop: a checkpoint has been written if there is a store.
  /// @throws NumericError after most_skipped_in_a_row steps without a finite loss and gradient.
  void run(std::stop_token stop, const CheckpointPolicy& policy = {}, const TrainerCallbacks& callbacks = {});

  const TrainingHistory& history() const { return history_; }

 private:
  using Clock = std::chrono::steady_clock;

  Trainer(std::unique_ptr<Learner> owned, TrainerOptions options);

  bool finished() const;
  bool evaluation_due() const;
  void evaluate(std::stop_token stop);
  void step(const TrainerCallbacks& callbacks);
  void record(const Learner::StepOutcome& outcome, const OptimizerStepResult& result, double learning_rate);
  void close_interval(double learning_rate);
  TrainingProgress progress() const;

  std::unique_ptr<Learner> owned_;
  Learner& learner_;
  TrainerOptions options_;
  AdamwOptimizer optimizer_;
  TrainingHistory history_;
  std::vector<NamedTensor> best_;
  double last_loss_ = 0;
  Clock::time_point started_{};
  double seconds_before_ = 0;  // spent in earlier parts of the run
  std::int64_t tokens_before_ = 0;
};

}  // namespace strandline
