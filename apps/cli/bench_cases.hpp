// What `strandline bench` measures: operations, one layer, the encoder and a training step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.hpp"
#include "core/model/config.hpp"

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
  std::int64_t tokens = 0;
  /// Largest error against the reference in double, relative to the largest value, on a smaller shape.
  std::function<double(Backend& backend)> error;
  std::function<double(const Backend& backend)> error_bound;
  std::function<BenchRun(Backend& backend)> open;
};

struct BenchOptions {
  std::string shapes = "small";  ///< a name of bench_shapes()
  std::vector<std::int64_t> lengths{4096};
  std::int64_t d_state = 0;  ///< 0: as the shapes have it
  std::int64_t segment_tokens = 0;
  std::int64_t memory_bytes = 0;
};

std::vector<std::string> bench_shapes();

/// For every length, in this order: operations, layer, encoder, training step.
std::vector<BenchCase> bench_cases(const BenchOptions& options);

}  // namespace strandline
