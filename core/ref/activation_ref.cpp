#include "core/ref/activation_ref.hpp"

#include <cmath>
#include <numbers>

#include "core/ref/element.hpp"
#include "core/ref/sigmoid.hpp"

namespace strandline::ref {
namespace {

/// The normal distribution function; erfc keeps the last bits of its lower tail.
template <class T>
T phi(T x) {
  return std::erfc(-x / std::numbers::sqrt2_v<T>) / T(2);
}

template <class T>
T value_of(ops::ActivationKind kind, T x) {
  switch (kind) {
    case ops::ActivationKind::relu: return x < T(0) ? T(0) : x;
    case ops::ActivationKind::gelu: return x * phi(x);
    case ops::ActivationKind::tanh: return std::tanh(x);
    default: return sigmoid(x);
  }
}

template <class T>
T slope_of(ops::ActivationKind kind, T x) {
  switch (kind) {
    case ops::ActivationKind::relu: return x > T(0) ? T(1) : T(0);
    case ops::ActivationKind::gelu: {
      const T density = std::exp(-x * x / T(2)) * std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
      return phi(x) + x * density;
    }
    case ops::ActivationKind::tanh: return T(1) - std::tanh(x) * std::tanh(x);
    default: return sigmoid(x) * (T(1) - sigmoid(x));
  }
}

template <class Body>
void for_each(const ConstView& x_td, const Body& body) {
  for (std::int64_t t = 0; t < x_td.size(0); ++t) {
    for (std::int64_t d = 0; d < x_td.size(1); ++d) body(t, d);
  }
}

}  // namespace

template <class T>
void activation(const ops::ActivationArgs& args) {
  for_each(args.x_td, [&](std::int64_t t, std::int64_t d) {
    at<T>(args.y_td, t, d) = value_of(args.kind, at<T>(args.x_td, t, d));
  });
}

template <class T>
void activation_backward(const ops::ActivationBackwardArgs& args) {
  for_each(args.x_td, [&](std::int64_t t, std::int64_t d) {
    at<T>(args.dx_td, t, d) = at<T>(args.dy_td, t, d) * slope_of(args.kind, at<T>(args.x_td, t, d));
  });
}

template void activation<double>(const ops::ActivationArgs&);
template void activation<float>(const ops::ActivationArgs&);
template void activation_backward<double>(const ops::ActivationBackwardArgs&);
template void activation_backward<float>(const ops::ActivationBackwardArgs&);

}  // namespace strandline::ref
