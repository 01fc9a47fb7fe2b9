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
  std::function<bool()> available;
  std::function<std::unique_ptr<Backend>()> make;

  friend std::ostream& operator<<(std::ostream& out, const BackendCase& each) { return out << each.name; }
};

/// The reference in double, the CPU with every instruction set, one thread and three, and the CPU behind activations of
/// bf16, with weights, states and the residual stream in fp32.
std::vector<BackendCase> backend_cases();

}  // namespace strandline::testing
