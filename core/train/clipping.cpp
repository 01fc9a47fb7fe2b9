#include "core/train/clipping.hpp"

#include <cmath>

#include "core/backend.hpp"

namespace strandline {

double global_norm(Backend& backend, const Weights& gradients) {
  return std::sqrt(ops::sum_of_squares(backend, gradients.flat()));
}

double clip_factor(double norm, double max_norm) { return max_norm > 0 && norm > max_norm ? max_norm / norm : 1.0; }

}  // namespace strandline
