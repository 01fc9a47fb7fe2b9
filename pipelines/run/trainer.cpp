#include "pipelines/run/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "pipelines/run/model_store.hpp"
#include "pipelines/run/token_learner.hpp"

namespace strandline {
namespace {

// Points on the loss curve: enough for a plot, few enough for a checkpoint.
constexpr std::int64_t kLossPoints = 400;

constexpr const char* kFirstMoment = "m.";
constexpr const char* kSecondMoment = "v.";

void append_prefixed(const Weights& weights, const std::string& prefix, std::vector<NamedTensor>& out) {
  for (NamedTensor& tensor : tensors_of(weights)) {
    tensor.name = prefix + tensor.name;
    out.push_back(std::move(tensor));
  }
}

std::vector<NamedTensor> without_prefix(const std::vector<NamedTensor>& tensors, const std::string& prefix) {
  std::vector<NamedTensor> chosen;
  for (const NamedTensor& tensor : tensors) {
    if (!tensor.name.starts_with(prefix)) continue;
    chosen.push_back(tensor);
    chosen.back().name.erase(0, prefix.size());
  }
  return chosen;
}

}  // namespace

Trainer::Trainer(Learner& learner, TrainerOptions options)
    : learner_(learner),
      options_(std::move(options)),
      optimizer_(options_.adamw, learner.backend(), learner.weights()) {
  options_.validate(learner.classes());
  if (learner.validation_examples() < 1) throw ContractError("Trainer: there are no validation examples");
}

Trainer::Trainer(std::unique_ptr<Learner> owned, TrainerOptions options) : Trainer(*owned, std::move(options)) {
  owned_ = std::move(owned);
}

Trainer::Trainer(Classifier& classifier, const ExampleSource& training, const ExampleSource& validation,
                 TrainerOptions options)
    : Trainer(std::make_unique<TokenLearner>(classifier, training, validation), std::move(options)) {}

Checkpoint Trainer::checkpoint() {
  Checkpoint out;
  out.step = history_.state.step;
  out.state_json = to_json(history_);
  out.weights = tensors_of(learner_.weights());
  append_prefixed(optimizer_.first_moment(), kFirstMoment, out.optimizer);
  append_prefixed(optimizer_.second_moment(), kSecondMoment, out.optimizer);
  out.best = best_;
  return out;
}

void Trainer::restore(const Checkpoint& checkpoint) {
  const std::string file = fmt::format("checkpoint of step {}", checkpoint.step);
  history_ = training_history_from_json(checkpoint.state_json, file);
  set_tensors(checkpoint.weights, file, learner_.weights());
  set_tensors(without_prefix(checkpoint.optimizer, kFirstMoment), file, optimizer_.first_moment());
  set_tensors(without_prefix(checkpoint.optimizer, kSecondMoment), file, optimizer_.second_moment());
  best_ = checkpoint.best;
}

bool Trainer::finished() const {
  const bool patience_lost = options_.patience > 0 && history_.evaluations_since_best >= options_.patience &&
                             history_.state.step >= options_.patience_from_step;
  return history_.state.step >= options_.steps() || patience_lost;
}

bool Trainer::evaluation_due() const {
  const std::int64_t step = history_.state.step;
  const bool done = !history_.validations.empty() && history_.validations.back().step == step;
  return !done && step > 0 && (step % options_.evaluate_every == 0 || step >= options_.steps());
}

void Trainer::evaluate(std::stop_token stop) {
  const Scores scores = learner_.validate(options_, std::move(stop));
  history_.validations.push_back({history_.state.step, scores.log_loss, scores.accuracy});
  if (history_.best_step >= 0 && scores.log_loss >= history_.best_loss) {
    ++history_.evaluations_since_best;
    return;
  }
  history_.best_step = history_.state.step;
  history_.best_loss = scores.log_loss;
  history_.evaluations_since_best = 0;
  best_ = tensors_of(learner_.weights());
}

void Trainer::step(const TrainerCallbacks& callbacks) {
  const std::int64_t number = history_.state.step;
  const double learning_rate = options_.schedule.at(number);
  learner_.zero_gradients();
  const Learner::StepOutcome outcome = learner_.accumulate(options_, history_.state);
  if (callbacks.after_backward) callbacks.after_backward(number, learner_.gradients());
  const OptimizerStepResult result =
      optimizer_.step({learner_.gradients(), learning_rate, outcome.loss, history_.state.updates() + 1});
  ++history_.state.step;
  history_.state.samples += options_.examples_per_step;
  last_loss_ = outcome.loss;
  record(outcome, result, learning_rate);
}

void Trainer::record(const Learner::StepOutcome& outcome, const OptimizerStepResult& result, double learning_rate) {
  if (result.applied) {
    history_.skipped_in_a_row = 0;
    ++history_.open.steps;
    history_.open.examples += options_.examples_per_step;
    history_.open.correct += outcome.correct;
    history_.open.loss += outcome.loss;
    history_.open.gradient_norm += result.gradient_norm;
  } else {
    ++history_.state.skipped_steps;
    if (++history_.skipped_in_a_row >= options_.most_skipped_in_a_row) {
      const std::int64_t last = history_.state.step * options_.examples_per_step - 1;
      throw NumericError(fmt::format(
          "the loss or its gradient was not finite in {} steps in a row, the last with training examples {} to {}. "
          "The weights were left as they were; take a smaller --lr, or look at these examples",
          history_.skipped_in_a_row, last - options_.examples_per_step + 1, last));
    }
  }
  const std::int64_t interval = std::max<std::int64_t>(1, options_.steps() / kLossPoints);
  if (history_.state.step % interval == 0 || history_.state.step == options_.steps()) close_interval(learning_rate);
}

void Trainer::close_interval(double learning_rate) {
  const OpenInterval& open = history_.open;
  if (open.steps > 0) {
    const auto steps = static_cast<double>(open.steps);
    history_.losses.push_back({history_.state.step, open.loss / steps,
                               static_cast<double>(open.correct) / static_cast<double>(open.examples), learning_rate,
                               open.gradient_norm / steps});
  }
  history_.open = {};
}

TrainingProgress Trainer::progress() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  const double all_seconds = seconds_before_ + seconds;
  TrainingProgress out;
  out.step = history_.state.step;
  out.steps = options_.steps();
  out.loss = last_loss_;
  if (!history_.validations.empty()) out.validation_accuracy = history_.validations.back().accuracy;
  out.tokens_per_second = seconds > 0 ? static_cast<double>(history_.state.tokens - tokens_before_) / seconds : 0;
  out.seconds_left =
      out.step > 0 ? all_seconds / static_cast<double>(out.step) * static_cast<double>(out.steps - out.step) : -1;
  return out;
}

void Trainer::run(std::stop_token stop, const CheckpointPolicy& policy, const TrainerCallbacks& callbacks) {
  started_ = Clock::now();
  seconds_before_ = history_.seconds;
  tokens_before_ = history_.state.tokens;
  Clock::time_point last_saved = started_;
  const auto save = [&] {
    if (policy.store == nullptr) return;
    history_.seconds = seconds_before_ + std::chrono::duration<double>(Clock::now() - started_).count();
    policy.store->save(checkpoint());
    last_saved = Clock::now();
  };
  const auto save_and_leave = [&] {
    save();
    const char* how = policy.store != nullptr ? "a checkpoint is complete; the same command goes on from it"
                                              : "there are no checkpoints";
    throw InterruptedError(fmt::format("stopped after {} of {} steps: {}", history_.state.step, options_.steps(), how));
  };
  while (true) {
    if (evaluation_due()) {
      try {
        evaluate(stop);
      } catch (const InterruptedError&) {
        save_and_leave();  // the evaluation comes again after resuming: that it is due follows from the history
      }
    }
    if (finished()) break;
    if (stop.stop_requested()) save_and_leave();
    step(callbacks);
    if (callbacks.progress) callbacks.progress(progress());
    const bool by_steps = policy.every_steps > 0 && history_.state.step % policy.every_steps == 0;
    if (by_steps || Clock::now() - last_saved >= policy.every) save();
  }
  history_.seconds = seconds_before_ + std::chrono::duration<double>(Clock::now() - started_).count();
  if (policy.store != nullptr)
    policy.store->save(checkpoint());  // what follows training need not repeat it when killed
  set_tensors(best_, "best weights", learner_.weights());
}

}  // namespace strandline
