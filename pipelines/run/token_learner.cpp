#include "pipelines/run/token_learner.hpp"

#include <utility>

#include "pipelines/run/predict_examples.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {

TokenLearner::TokenLearner(Classifier& classifier, const ExampleSource& training, const ExampleSource& validation)
    : classifier_(classifier), training_(training), validation_(validation) {}

void TokenLearner::load_examples(std::int64_t first, std::int64_t count) {
  examples_.resize(static_cast<std::size_t>(count));
  labels_.resize(examples_.size());
  for (std::size_t index = 0; index < examples_.size(); ++index) {
    labels_[index] = training_.example(first + static_cast<std::int64_t>(index), examples_[index]);
  }
}

Learner::StepOutcome TokenLearner::accumulate(const TrainerOptions& options, TrainerState& state) {
  load_examples(state.step * options.examples_per_step, options.examples_per_step);
  TrainStepArgs args;
  args.class_weights = options.class_weights;
  args.label_smoothing = options.label_smoothing;
  args.scale = 1.0 / sum_of_weights(options, labels_);
  StepOutcome outcome;
  PackedBatch batch;
  std::size_t first = 0;  // example that the batch begins with
  const auto flush = [&](std::size_t end) {
    if (first == end) return;
    args.dropout = {seed_for(options.seed, RandomUse::dropout), static_cast<std::uint64_t>(state.micro_batches++)};
    const TrainStepResult result = classifier_.train_step(batch, std::span(labels_).subspan(first, end - first), args);
    outcome.loss += result.loss_sum * args.scale;
    outcome.correct += result.correct;
    state.tokens += batch.tokens();
    batch.clear();
    first = end;
  };
  for (std::size_t index = 0; index < examples_.size(); ++index) {
    if (batch.tokens() + std::ssize(examples_[index]) > options.micro_batch_tokens) flush(index);
    batch.add(examples_[index]);
  }
  flush(examples_.size());
  return outcome;
}

Scores TokenLearner::validate(const TrainerOptions& options, std::stop_token stop) {
  return score(predict_examples(classifier_, validation_, options.micro_batch_tokens, std::move(stop)));
}

}  // namespace strandline
