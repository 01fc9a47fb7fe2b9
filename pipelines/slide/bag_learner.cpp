#include "pipelines/slide/bag_learner.hpp"

#include <utility>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {

Predictions predict_bags(MilModel& model, BagStore& store, const BagList& list, std::stop_token stop) {
  Predictions out;
  out.classes = model.config().classes;
  std::vector<float> logits(static_cast<std::size_t>(out.classes));
  for (std::size_t i = 0; i < list.bags.size(); ++i) {
    if (stop.stop_requested()) throw InterruptedError("stopped while judging the model");
    const OrderedBag& bag = store.get(list.bags[i]);
    model.predict({bag.features, bag.patches()}, {.logits = logits});
    out.labels.push_back(list.labels[i]);
    append_softmax(logits, out);
  }
  return out;
}

BagLearner::BagLearner(MilModel& model, Data data) : model_(model), data_(std::move(data)) {
  if (data_.training.bags.empty()) throw ContractError("BagLearner: there are no training bags");
  by_class_.resize(static_cast<std::size_t>(classes()));
  for (std::size_t i = 0; i < data_.training.labels.size(); ++i)
    by_class_.at(static_cast<std::size_t>(data_.training.labels[i])).push_back(static_cast<std::int64_t>(i));
  std::erase_if(by_class_, [](const auto& positions) { return positions.empty(); });
}

std::int64_t BagLearner::example(std::int64_t number, std::uint64_t seed) const {
  const std::int64_t bags = std::ssize(data_.training.bags);
  if (data_.sampling == BagSampling::shuffle)
    return permuted(seed_for(seed, RandomUse::row_order), number / bags, bags, number % bags);
  RandomStream draws(seed_for(seed, RandomUse::row_order), static_cast<std::uint64_t>(number));
  const auto& positions = by_class_[draws.below(by_class_.size())];
  return positions[draws.below(positions.size())];
}

Learner::StepOutcome BagLearner::accumulate(const TrainerOptions& options, TrainerState& state) {
  std::vector<std::size_t> chosen;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < options.examples_per_step; ++i) {
    chosen.push_back(static_cast<std::size_t>(example(state.step * options.examples_per_step + i, options.seed)));
    labels.push_back(data_.training.labels[chosen.back()]);
  }
  MilTrainArgs args;
  args.label_smoothing = options.label_smoothing;
  args.scale = 1.0 / sum_of_weights(options, labels);
  StepOutcome outcome;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const OrderedBag& bag = data_.store.get(data_.training.bags[chosen[i]]);
    args.label = labels[i];
    args.class_weight =
        options.class_weights.empty() ? 1.0 : options.class_weights[static_cast<std::size_t>(labels[i])];
    args.dropout = {seed_for(options.seed, RandomUse::dropout), static_cast<std::uint64_t>(state.micro_batches++)};
    const MilTrainResult result = model_.train_step({bag.features, bag.patches()}, args);
    outcome.loss += result.loss * args.scale;
    outcome.correct += result.correct ? 1 : 0;
    state.tokens += bag.patches();
  }
  return outcome;
}

Scores BagLearner::validate(const TrainerOptions&, std::stop_token stop) {
  return score(predict_bags(model_, data_.store, data_.validation, std::move(stop)));
}

}  // namespace strandline
