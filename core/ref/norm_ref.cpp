#include "core/ref/norm_ref.hpp"

#include <cmath>
#include <vector>

#include "core/ref/element.hpp"
#include "core/ref/sigmoid.hpp"

namespace strandline::ref {
namespace {

template <class T>
T silu(T x) {
  return x * sigmoid(x);
}

template <class T>
T silu_slope(T x) {
  const T s = sigmoid(x);
  return s + x * s * (T(1) - s);
}

/// 1 / sqrt(mean(v^2) + eps)
template <class T>
T scale_of(const std::vector<T>& v, double eps) {
  T sum = 0;
  for (const T value : v) sum += value * value;
  return T(1) / std::sqrt(sum / static_cast<T>(v.size()) + static_cast<T>(eps));
}

/// With r = scale_of(v) and the gradient g of r * v, the gradient of v: r * g - v * r^3 * mean(g * v).
template <class T>
std::vector<T> normalise_backward(const std::vector<T>& v, const std::vector<T>& g, double eps) {
  const T r = scale_of(v, eps);
  T product = 0;
  for (std::size_t i = 0; i < v.size(); ++i) product += g[i] * v[i];
  product /= static_cast<T>(v.size());
  std::vector<T> dv(v.size());
  for (std::size_t i = 0; i < v.size(); ++i) dv[i] = r * g[i] - v[i] * r * r * r * product;
  return dv;
}

/// Channels [begin, end) of one row.
template <class T>
std::vector<T> row_of(const ConstView& view, std::int64_t t, std::int64_t begin, std::int64_t end) {
  std::vector<T> row;
  for (std::int64_t d = begin; d < end; ++d) row.push_back(at<T>(view, t, d));
  return row;
}

/// Calls body(t, begin, end) for every row and group of channels.
template <class Body>
void for_each_group(const ConstView& x_td, std::int64_t groups, const Body& body) {
  const std::int64_t width = x_td.size(1) / groups;
  for (std::int64_t t = 0; t < x_td.size(0); ++t) {
    for (std::int64_t group = 0; group < groups; ++group) body(t, group * width, (group + 1) * width);
  }
}

template <class T>
void gate_then_norm_backward(const ops::GatedRmsNormBackwardArgs& args, std::int64_t t, std::int64_t begin,
                             std::int64_t end) {
  const std::vector<T> x = row_of<T>(args.x_td, t, begin, end);
  const std::vector<T> z = row_of<T>(args.z_td, t, begin, end);
  std::vector<T> v(x.size());
  std::vector<T> g(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    v[i] = x[i] * silu(z[i]);
    g[i] = at<T>(args.dy_td, t, begin + static_cast<std::int64_t>(i)) *
           at<T>(args.weight_d, begin + static_cast<std::int64_t>(i));
  }
  const T r = scale_of(v, args.eps);
  const std::vector<T> dv = normalise_backward(v, g, args.eps);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t d = begin + static_cast<std::int64_t>(i);
    if (args.dweight_d) at<T>(args.dweight_d, d) += at<T>(args.dy_td, t, d) * v[i] * r;
    if (args.dx_td) at<T>(args.dx_td, t, d) = dv[i] * silu(z[i]);
    if (args.dz_td) at<T>(args.dz_td, t, d) = dv[i] * x[i] * silu_slope(z[i]);
  }
}

template <class T>
void norm_then_gate_backward(const ops::GatedRmsNormBackwardArgs& args, std::int64_t t, std::int64_t begin,
                             std::int64_t end) {
  const std::vector<T> x = row_of<T>(args.x_td, t, begin, end);
  const std::vector<T> z = row_of<T>(args.z_td, t, begin, end);
  std::vector<T> g(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t d = begin + static_cast<std::int64_t>(i);
    g[i] = at<T>(args.dy_td, t, d) * silu(z[i]) * at<T>(args.weight_d, d);
  }
  const T r = scale_of(x, args.eps);
  const std::vector<T> dx = normalise_backward(x, g, args.eps);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t d = begin + static_cast<std::int64_t>(i);
    const T dy = at<T>(args.dy_td, t, d);
    if (args.dweight_d) at<T>(args.dweight_d, d) += dy * silu(z[i]) * x[i] * r;
    if (args.dx_td) at<T>(args.dx_td, t, d) = dx[i];
    if (args.dz_td) at<T>(args.dz_td, t, d) = dy * x[i] * r * at<T>(args.weight_d, d) * silu_slope(z[i]);
  }
}

}  // namespace

template <class T>
void rms_norm(const ops::RmsNormArgs& args) {
  for_each_group(args.x_td, 1, [&](std::int64_t t, std::int64_t begin, std::int64_t end) {
    const std::vector<T> x = row_of<T>(args.x_td, t, begin, end);
    const T r = scale_of(x, args.eps);
    for (std::int64_t d = begin; d < end; ++d) {
      at<T>(args.y_td, t, d) = at<T>(args.weight_d, d) * x[static_cast<std::size_t>(d)] * r;
    }
  });
}

template <class T>
void rms_norm_backward(const ops::RmsNormBackwardArgs& args) {
  for_each_group(args.x_td, 1, [&](std::int64_t t, std::int64_t begin, std::int64_t end) {
    const std::vector<T> x = row_of<T>(args.x_td, t, begin, end);
    std::vector<T> g(x.size());
    for (std::int64_t d = begin; d < end; ++d) {
      g[static_cast<std::size_t>(d)] = at<T>(args.dy_td, t, d) * at<T>(args.weight_d, d);
    }
    const T r = scale_of(x, args.eps);
    const std::vector<T> dx = normalise_backward(x, g, args.eps);
    for (std::int64_t d = begin; d < end; ++d) {
      const auto i = static_cast<std::size_t>(d);
      if (args.dweight_d) at<T>(args.dweight_d, d) += at<T>(args.dy_td, t, d) * x[i] * r;
      if (args.dx_td) at<T>(args.dx_td, t, d) = args.accumulate_dx ? at<T>(args.dx_td, t, d) + dx[i] : dx[i];
    }
  });
}

template <class T>
void gated_rms_norm(const ops::GatedRmsNormArgs& args) {
  const bool gate_first = args.order == ops::GateOrder::gate_then_norm;
  for_each_group(args.x_td, args.groups, [&](std::int64_t t, std::int64_t begin, std::int64_t end) {
    std::vector<T> v = row_of<T>(args.x_td, t, begin, end);
    const std::vector<T> z = row_of<T>(args.z_td, t, begin, end);
    for (std::size_t i = 0; gate_first && i < v.size(); ++i) v[i] *= silu(z[i]);
    const T r = scale_of(v, args.eps);
    for (std::size_t i = 0; i < v.size(); ++i) {
      const std::int64_t d = begin + static_cast<std::int64_t>(i);
      const T normed = at<T>(args.weight_d, d) * v[i] * r;
      at<T>(args.y_td, t, d) = gate_first ? normed : normed * silu(z[i]);
    }
  });
}

template <class T>
void gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args) {
  for_each_group(args.x_td, args.groups, [&](std::int64_t t, std::int64_t begin, std::int64_t end) {
    if (args.order == ops::GateOrder::gate_then_norm) {
      gate_then_norm_backward<T>(args, t, begin, end);
    } else {
      norm_then_gate_backward<T>(args, t, begin, end);
    }
  });
}

template void rms_norm<double>(const ops::RmsNormArgs&);
template void rms_norm<float>(const ops::RmsNormArgs&);
template void rms_norm_backward<double>(const ops::RmsNormBackwardArgs&);
template void rms_norm_backward<float>(const ops::RmsNormBackwardArgs&);
template void gated_rms_norm<double>(const ops::GatedRmsNormArgs&);
template void gated_rms_norm<float>(const ops::GatedRmsNormArgs&);
template void gated_rms_norm_backward<double>(const ops::GatedRmsNormBackwardArgs&);
template void gated_rms_norm_backward<float>(const ops::GatedRmsNormBackwardArgs&);

}  // namespace strandline::ref
