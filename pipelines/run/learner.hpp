// What a trainer trains: a model together with its examples.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>

#include "core/model/weights.hpp"
#include "core/train/trainer_state.hpp"
#include "pipelines/run/metrics.hpp"
#include "pipelines/run/trainer_options.hpp"

namespace strandline {

class Backend;

/// Training example number i is a pure function of i, so that a run resumes from one integer. One thread at a time.
class Learner {
 public:
  struct StepOutcome {
    double loss = 0;  ///< mean over the examples, weighted by class
    std::int64_t correct = 0;
  };

  virtual ~Learner() = default;
  virtual Backend& backend() = 0;
  virtual Weights& weights() = 0;
  virtual Weights& gradients() = 0;
  virtual void zero_gradients() = 0;
  virtual std::int64_t classes() const = 0;
  virtual std::int64_t validation_examples() const = 0;

  /// Adds the gradient of the mean loss of the training examples [state.step, state.step + 1) * examples_per_step, and
  /// counts tokens and train_step calls in `state`.
  virtual StepOutcome accumulate(const TrainerOptions& options, TrainerState& state) = 0;
  /// Of the validation examples. @throws InterruptedError when stopped in between.
  virtual Scores validate(const TrainerOptions& options, std::stop_token stop) = 0;
};

/// What the loss of one step is divided by: the class weights of its examples, or their number.
double sum_of_weights(const TrainerOptions& options, std::span<const std::int32_t> labels);

}  // namespace strandline
