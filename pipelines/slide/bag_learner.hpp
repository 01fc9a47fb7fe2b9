// An aggregator and the bags of one fold, for the trainer.
#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/model/mil/mil_model.hpp"
#include "pipelines/run/learner.hpp"
#include "pipelines/run/metrics.hpp"
#include "pipelines/slide/bag_store.hpp"

namespace strandline {

/// Bags of a store, by their numbers, with their classes.
struct BagList {
  std::vector<std::int64_t> bags;
  std::vector<std::int32_t> labels;
};

enum class BagSampling : std::uint8_t {
  shuffle,   ///< every bag once an epoch
  by_class,  ///< every class as often as the others: a class, then one of its bags
};

/// What the model says of every bag of a list. @throws InterruptedError when stopped in between.
Predictions predict_bags(MilModel& model, BagStore& store, const BagList& list, std::stop_token stop = {});

class BagLearner final : public Learner {
 public:
  struct Data {
    BagStore& store;
    BagList training;
    BagList validation;
    BagSampling sampling = BagSampling::shuffle;
  };

  /// Model and store must outlive the learner. @throws ContractError when there is nothing to train on.
  BagLearner(MilModel& model, Data data);

  Backend& backend() override { return model_.backend(); }
  Weights& weights() override { return model_.weights(); }
  Weights& gradients() override { return model_.gradients(); }
  void zero_gradients() override { model_.zero_gradients(); }
  std::int64_t classes() const override { return model_.config().classes; }
  std::int64_t validation_examples() const override { return std::ssize(data_.validation.bags); }
  StepOutcome accumulate(const TrainerOptions& options, TrainerState& state) override;
  Scores validate(const TrainerOptions& options, std::stop_token stop) override;

  /// Position in the training list of example `number`: a pure function of seed and number.
  std::int64_t example(std::int64_t number, std::uint64_t seed) const;

 private:
  MilModel& model_;
  Data data_;
  std::vector<std::vector<std::int64_t>> by_class_;  ///< positions in the training list
};

}  // namespace strandline
