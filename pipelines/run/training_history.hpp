// What a training run remembers of itself: enough to go on to the same bits, and to draw its curves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/train/trainer_state.hpp"

namespace strandline {

/// Means over the steps since the last point; skipped steps do not count.
struct LossPoint {
  std::int64_t step = 0;  ///< steps done
  double loss = 0;
  double accuracy = 0;  ///< of the training examples, before each step's update
  double learning_rate = 0;
  double gradient_norm = 0;  ///< before clipping

  bool operator==(const LossPoint&) const = default;
};

struct ValidationPoint {
  std::int64_t step = 0;
  double loss = 0;
  double accuracy = 0;

  bool operator==(const ValidationPoint&) const = default;
};

/// Sums that will become the next LossPoint.
struct OpenInterval {
  std::int64_t steps = 0;
  std::int64_t examples = 0;
  std::int64_t correct = 0;
  double loss = 0;
  double gradient_norm = 0;

  bool operator==(const OpenInterval&) const = default;
};

struct TrainingHistory {
  TrainerState state;
  std::vector<LossPoint> losses;
  std::vector<ValidationPoint> validations;
  OpenInterval open;
  std::int64_t best_step = -1;  ///< of the smallest validation loss; -1: none yet
  double best_loss = 0;
  std::int64_t evaluations_since_best = 0;
  std::int64_t skipped_in_a_row = 0;
  double seconds = 0;  ///< spent training, over all resumed parts; decides nothing

  bool operator==(const TrainingHistory&) const = default;
};

/// JSON and back, every number exact.
std::string to_json(const TrainingHistory& history);
/// @throws DataError when `text` is not such JSON; `file` stands for it in the message.
TrainingHistory training_history_from_json(const std::string& text, const std::string& file);

}  // namespace strandline
