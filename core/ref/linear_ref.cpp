#include "core/ref/linear_ref.hpp"

#include "core/ref/element.hpp"

namespace strandline::ref {

template <class T>
void linear(const ops::LinearArgs& args) {
  for (std::int64_t t = 0; t < args.x_ti.size(0); ++t) {
    for (std::int64_t o = 0; o < args.weight_oi.size(0); ++o) {
      T sum = at_or<T>(T(0), args.bias_o, o);
      for (std::int64_t i = 0; i < args.x_ti.size(1); ++i) sum += at<T>(args.x_ti, t, i) * at<T>(args.weight_oi, o, i);
      T& y = at<T>(args.y_to, t, o);
      y = args.accumulate ? y + sum : sum;
    }
  }
}

template <class T>
void linear_backward(const ops::LinearBackwardArgs& args) {
  const std::int64_t tokens = args.dy_to.size(0);
  const std::int64_t outputs = args.weight_oi.size(0);
  const std::int64_t inputs = args.weight_oi.size(1);
  for (std::int64_t t = 0; args.dx_ti && t < tokens; ++t) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      T sum = 0;
      for (std::int64_t o = 0; o < outputs; ++o) sum += at<T>(args.dy_to, t, o) * at<T>(args.weight_oi, o, i);
      at<T>(args.dx_ti, t, i) = sum;
    }
  }
  for (std::int64_t o = 0; args.dweight_oi && o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      T sum = 0;
      for (std::int64_t t = 0; t < tokens; ++t) sum += at<T>(args.dy_to, t, o) * at<T>(args.x_ti, t, i);
      at<T>(args.dweight_oi, o, i) += sum;
    }
  }
  for (std::int64_t o = 0; args.dbias_o && o < outputs; ++o) {
    T sum = 0;
    for (std::int64_t t = 0; t < tokens; ++t) sum += at<T>(args.dy_to, t, o);
    at<T>(args.dbias_o, o) += sum;
  }
}

template void linear<double>(const ops::LinearArgs&);
template void linear<float>(const ops::LinearArgs&);
template void linear_backward<double>(const ops::LinearBackwardArgs&);
template void linear_backward<float>(const ops::LinearBackwardArgs&);

}  // namespace strandline::ref
