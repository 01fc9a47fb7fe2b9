// What `strandline bench` measures: operations and the whole encoder at a few shapes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.hpp"

namespace strandline {

/// One thing to time. Work is prepared once, when the case is opened.
struct BenchRun {
  std::function<void()> work;
  double tokens = 0.0;  ///< of one run
  double flop = 0.0;    ///< of one run; 0: not counted
};

struct BenchCase {
  std::string name;
  std::string shape;
  /// Largest error against the reference in double, relative to the largest value, on a smaller shape.
  std::function<double(Backend& backend)> error;
  double error_bound = 0.0;
  std::function<BenchRun(Backend& backend)> open;
};

std::vector<BenchCase> bench_cases();

}  // namespace strandline
