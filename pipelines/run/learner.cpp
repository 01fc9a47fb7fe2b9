#include "pipelines/run/learner.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/error.hpp"

namespace strandline {

void TrainerOptions::validate(std::int64_t classes) const {
  schedule.validate();
  const auto require = [](bool holds, const std::string& text) {
    if (!holds) throw ContractError("TrainerOptions: " + text);
  };
  require(examples_per_step > 0, "examples_per_step must be positive");
  require(micro_batch_tokens > 0, "micro_batch_tokens must be positive");
  require(evaluate_every > 0, "evaluate_every must be positive");
  require(patience >= 0, "patience must not be negative");
  require(patience_from_step >= 0, "patience_from_step must not be negative");
  require(most_skipped_in_a_row > 0, "most_skipped_in_a_row must be positive");
  require(label_smoothing >= 0 && label_smoothing < 1, "label_smoothing must be in [0, 1)");
  require(class_weights.empty() || std::ssize(class_weights) == classes,
          "class_weights must have one weight per class");
  require(std::ranges::all_of(class_weights, [](float weight) { return weight > 0 && std::isfinite(weight); }),
          "class weights must be positive");
}

double sum_of_weights(const TrainerOptions& options, std::span<const std::int32_t> labels) {
  if (options.class_weights.empty()) return static_cast<double>(labels.size());
  double sum = 0;
  for (const std::int32_t label : labels) sum += options.class_weights[static_cast<std::size_t>(label)];
  return sum;
}

}  // namespace strandline
