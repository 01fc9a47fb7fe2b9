// The learning rate as a function of the step.
#pragma once

#include <cstdint>

namespace strandline {

/// Linear warm-up to `peak`, then a cosine down to `floor` at `total_steps`, then `floor`:
///
///     step < warmup:  peak * (step + 1) / warmup
///     else:           floor + (peak - floor) * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2
///
/// Source: Loshchilov and Hutter 2017 (arXiv 1608.03983), equation 5, one cycle.
struct LearningRateSchedule {
  double peak = 1e-3;
  double floor = 1e-5;
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 1;

  /// @throws ContractError naming the field.
  void validate() const;
  /// Rate of step number `step`, counted from 0.
  double at(std::int64_t step) const;
};

}  // namespace strandline
