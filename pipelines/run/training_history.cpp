#include "pipelines/run/training_history.hpp"

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"

namespace strandline {

using Json = nlohmann::json;

// Found by nlohmann through the namespace of the types.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainerState, step, skipped_steps, samples, tokens, micro_batches)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LossPoint, step, loss, accuracy, learning_rate, gradient_norm)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ValidationPoint, step, loss, accuracy)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(OpenInterval, steps, examples, correct, loss, gradient_norm)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainingHistory, state, losses, validations, open, best_step, best_loss,
                                   evaluations_since_best, skipped_in_a_row, seconds)

std::string to_json(const TrainingHistory& history) { return Json(history).dump(); }

TrainingHistory training_history_from_json(const std::string& text, const std::string& file) {
  try {
    return Json::parse(text).get<TrainingHistory>();
  } catch (const Json::exception& error) {
    throw DataError({file}, std::string("is not the state of a training run (") + error.what() + ")");
  }
}

}  // namespace strandline
