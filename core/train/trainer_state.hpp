// Where a training run stands. Everything is an integer: data order and dropout are functions of (seed, step), so these
// numbers, the weights and the optimiser's moments are all that resuming to the same bits needs.
#pragma once

#include <cstdint>

namespace strandline {

struct TrainerState {
  std::int64_t step = 0;           ///< optimiser steps tried, skipped ones included
  std::int64_t skipped_steps = 0;  ///< those whose loss or gradient was not finite
  std::int64_t samples = 0;        ///< sequences consumed
  std::int64_t tokens = 0;         ///< tokens consumed
  std::int64_t micro_batches = 0;  ///< train_step calls: the dropout draw of the next one

  /// Times that the weights changed; the optimiser's bias correction counts these.
  std::int64_t updates() const { return step - skipped_steps; }
  bool operator==(const TrainerState&) const = default;
};

}  // namespace strandline
