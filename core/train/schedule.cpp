#include "core/train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "core/base/error.hpp"

namespace strandline {

void LearningRateSchedule::validate() const {
  const auto refuse = [](const std::string& what) { throw ContractError("learning rate schedule: " + what); };
  if (!(peak > 0) || !std::isfinite(peak)) refuse("peak is " + std::to_string(peak) + "; it must be positive");
  if (!(floor >= 0 && floor <= peak))
    refuse("floor is " + std::to_string(floor) + "; it must be between 0 and the peak");
  if (warmup_steps < 0) refuse("warmup_steps is " + std::to_string(warmup_steps) + "; it must not be negative");
  if (total_steps < 1 || total_steps < warmup_steps) {
    refuse("total_steps is " + std::to_string(total_steps) + "; it must be at least 1 and at least warmup_steps");
  }
}

double LearningRateSchedule::at(std::int64_t step) const {
  if (step < warmup_steps) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  if (step >= total_steps) return floor;
  const double done = static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps - warmup_steps);
  return floor + (peak - floor) * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
}

}  // namespace strandline
