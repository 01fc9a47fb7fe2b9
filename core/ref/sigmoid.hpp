// The logistic function of the reference. Private to core/ref.
#pragma once

#include <cmath>

namespace strandline::ref {

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

}  // namespace strandline::ref
