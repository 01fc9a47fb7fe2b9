// The step size of the scan and its slope.
#pragma once

#include <cmath>

#include "core/ops/ssd_scan.hpp"

namespace strandline::ref {

template <class T>
struct StepValue {
  T delta;  ///< clamp(softplus(raw), min, max)
  T slope;  ///< d delta / d raw; zero where clamped
};

template <class T>
StepValue<T> step_value(const ops::StepSize& step, T raw) {
  StepValue<T> value{raw, T(1)};
  if (step.softplus) {
    // log(1 + e^raw) without overflow for large raw and without losing e^raw beside 1 for very negative raw.
    value.delta = std::fmax(raw, T(0)) + std::log1p(std::exp(-std::fabs(raw)));
    value.slope = raw >= T(0) ? T(1) / (T(1) + std::exp(-raw)) : std::exp(raw) / (T(1) + std::exp(raw));
  }
  if (value.delta < static_cast<T>(step.min)) value = {static_cast<T>(step.min), T(0)};
  if (value.delta > static_cast<T>(step.max)) value = {static_cast<T>(step.max), T(0)};
  return value;
}

}  // namespace strandline::ref
