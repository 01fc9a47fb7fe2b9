#include "core/ref/layer_norm_ref.hpp"

#include <cmath>

#include "core/ref/element.hpp"

namespace strandline::ref {
namespace {

/// Of one row: normed[d] = (x[d] - mean) * r.
template <class T>
struct RowScale {
  T mean = 0;
  T r = 0;
};

template <class T>
RowScale<T> scale_of_row(const ConstView& x_td, std::int64_t t, double eps) {
  const std::int64_t channels = x_td.size(1);
  RowScale<T> row;
  for (std::int64_t d = 0; d < channels; ++d) row.mean += at<T>(x_td, t, d);
  row.mean /= static_cast<T>(channels);
  T variance = 0;
  for (std::int64_t d = 0; d < channels; ++d) {
    const T off = at<T>(x_td, t, d) - row.mean;
    variance += off * off;
  }
  row.r = T(1) / std::sqrt(variance / static_cast<T>(channels) + static_cast<T>(eps));
  return row;
}

}  // namespace

template <class T>
void layer_norm(const ops::LayerNormArgs& args) {
  for (std::int64_t t = 0; t < args.x_td.size(0); ++t) {
    const RowScale<T> row = scale_of_row<T>(args.x_td, t, args.eps);
    for (std::int64_t d = 0; d < args.x_td.size(1); ++d) {
      const T normed = (at<T>(args.x_td, t, d) - row.mean) * row.r;
      at<T>(args.y_td, t, d) = at<T>(args.weight_d, d) * normed + at<T>(args.bias_d, d);
    }
  }
}

// With g = dy * weight: dx = r * (g - mean(g) - normed * mean(g * normed)).
template <class T>
void layer_norm_backward(const ops::LayerNormBackwardArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  for (std::int64_t t = 0; t < args.x_td.size(0); ++t) {
    const RowScale<T> row = scale_of_row<T>(args.x_td, t, args.eps);
    const auto normed = [&](std::int64_t d) { return (at<T>(args.x_td, t, d) - row.mean) * row.r; };
    T mean_g = 0;
    T mean_product = 0;
    for (std::int64_t d = 0; d < channels; ++d) {
      const T dy = at<T>(args.dy_td, t, d);
      const T g = dy * at<T>(args.weight_d, d);
      mean_g += g / static_cast<T>(channels);
      mean_product += g * normed(d) / static_cast<T>(channels);
      if (args.dweight_d) at<T>(args.dweight_d, d) += dy * normed(d);
      if (args.dbias_d) at<T>(args.dbias_d, d) += dy;
    }
    for (std::int64_t d = 0; args.dx_td && d < channels; ++d) {
      const T g = at<T>(args.dy_td, t, d) * at<T>(args.weight_d, d);
      const T dx = row.r * (g - mean_g - normed(d) * mean_product);
      at<T>(args.dx_td, t, d) = args.accumulate_dx ? at<T>(args.dx_td, t, d) + dx : dx;
    }
  }
}

template void layer_norm<double>(const ops::LayerNormArgs&);
template void layer_norm<float>(const ops::LayerNormArgs&);
template void layer_norm_backward<double>(const ops::LayerNormBackwardArgs&);
template void layer_norm_backward<float>(const ops::LayerNormBackwardArgs&);

}  // namespace strandline::ref
