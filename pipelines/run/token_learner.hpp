// A classifier of token sequences and its examples, for the trainer.
#pragma once

#include <vector>

#include "core/model/classifier.hpp"
#include "pipelines/run/example_source.hpp"
#include "pipelines/run/learner.hpp"

namespace strandline {

class TokenLearner final : public Learner {
 public:
  /// Everything given must outlive the learner. @throws ContractError without validation examples.
  TokenLearner(Classifier& classifier, const ExampleSource& training, const ExampleSource& validation);

  Backend& backend() override { return classifier_.backend(); }
  Weights& weights() override { return classifier_.weights(); }
  Weights& gradients() override { return classifier_.gradients(); }
  void zero_gradients() override { classifier_.zero_gradients(); }
  std::int64_t classes() const override { return classifier_.config().classes; }
  std::int64_t validation_examples() const override { return validation_.size(); }
  StepOutcome accumulate(const TrainerOptions& options, TrainerState& state) override;
  Scores validate(const TrainerOptions& options, std::stop_token stop) override;

 private:
  void load_examples(std::int64_t first, std::int64_t count);

  Classifier& classifier_;
  const ExampleSource& training_;
  const ExampleSource& validation_;
  std::vector<std::vector<std::int32_t>> examples_;  // of the step at work
  std::vector<std::int32_t> labels_;
};

}  // namespace strandline
