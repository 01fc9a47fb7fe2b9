// How a trainer trains.
#pragma once

#include <cstdint>
#include <vector>

#include "core/train/adamw_optimizer.hpp"
#include "core/train/schedule.hpp"

namespace strandline {

struct TrainerOptions {
  LearningRateSchedule schedule;  ///< schedule.total_steps is the length of the run
  AdamwOptions adamw;
  std::int64_t examples_per_step = 32;  ///< step s learns from examples [s, s + 1) * examples_per_step
  std::int64_t micro_batch_tokens =
      16384;  ///< forward and backward of at most so many tokens at once (a longer example alone)
  std::vector<float> class_weights;  ///< one per class; empty: all 1
  double label_smoothing = 0;
  std::int64_t evaluate_every = 100;    ///< steps; also after the last one
  std::int64_t patience = 0;            ///< stop after so many evaluations without a smaller validation loss; 0: never
  std::int64_t patience_from_step = 0;  ///< patience does not end a run before this step
  std::int64_t most_skipped_in_a_row = 10;  ///< steps without a finite loss and gradient before giving up
  std::uint64_t seed = 0;

  std::int64_t steps() const { return schedule.total_steps; }
  /// @throws ContractError naming the option.
  void validate(std::int64_t classes) const;
};

}  // namespace strandline
