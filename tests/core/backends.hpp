// The back ends on which the model's promises are tested.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/backend.hpp"

namespace strandline::testing {

struct BackendCase {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
  std::function<std::string()> why_not{};  ///< "" where it can be made; absent: always
  bool required = false;                   ///< a failure where it cannot

  friend std::ostream& operator<<(std::ostream& out, const BackendCase& each) { return out << each.name; }
};

/// Of core_tests: the reference in double, the CPU with every instruction set, one thread and three, and the CPU behind
/// activations of bf16, with weights, states and the residual stream in fp32. Of cuda_tests: the GPU in fp32 and in
/// bf16.
std::vector<BackendCase> backend_cases();

/// nullptr where it cannot be made: the test has been skipped by name, or has failed. For SetUp.
std::unique_ptr<Backend> make_or_skip(const BackendCase& each);

}  // namespace strandline::testing
