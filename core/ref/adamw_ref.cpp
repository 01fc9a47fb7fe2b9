#include "core/ref/adamw_ref.hpp"

#include <cmath>

#include "core/ref/element.hpp"

namespace strandline::ref {

template <class T>
void adamw(const ops::AdamwArgs& args) {
  const auto step = static_cast<double>(args.step);
  const T beta1 = static_cast<T>(args.beta1);
  const T beta2 = static_cast<T>(args.beta2);
  const T one_minus_beta1 = static_cast<T>(1.0 - args.beta1);
  const T one_minus_beta2 = static_cast<T>(1.0 - args.beta2);
  const T m_correction = static_cast<T>(1.0 - std::pow(args.beta1, step));
  const T v_correction = static_cast<T>(1.0 - std::pow(args.beta2, step));
  for (std::int64_t n = 0; n < args.param_n.size(0); ++n) {
    const T g = static_cast<T>(args.grad_scale) * at<T>(args.grad_n, n);
    T& m = at<T>(args.m_n, n);
    T& v = at<T>(args.v_n, n);
    T& param = at<T>(args.param_n, n);
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
    const T direction = m / m_correction / (std::sqrt(v / v_correction) + static_cast<T>(args.eps));
    param -= static_cast<T>(args.learning_rate) * (direction + static_cast<T>(args.weight_decay) * param);
  }
}

template <class T>
double sum_of_squares(const ConstView& x) {
  const T* data = x.as<T>();
  double sum = 0.0;
  for (std::int64_t i = 0; i < x.elements(); ++i) sum += static_cast<double>(data[i]) * static_cast<double>(data[i]);
  return sum;
}

template void adamw<double>(const ops::AdamwArgs&);
template void adamw<float>(const ops::AdamwArgs&);
template double sum_of_squares<double>(const ConstView&);
template double sum_of_squares<float>(const ConstView&);

}  // namespace strandline::ref
