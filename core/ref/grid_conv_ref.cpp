#include "core/ref/grid_conv_ref.hpp"

#include "core/ref/element.hpp"

namespace strandline::ref {
namespace {

/// One product of the sum: token `to` reads token `from` through tap (k, l).
struct Tap {
  std::int64_t to;
  std::int64_t from;
  std::int64_t k;
  std::int64_t l;
};

template <class Args, class Body>
void for_each_tap(const Args& args, const Body& body) {
  const std::int64_t rows = args.x_td.size(0) / args.columns;
  for (std::int64_t to = 0; to < args.x_td.size(0); ++to) {
    for (std::int64_t k = 0; k < args.weight_gkl.size(1); ++k) {
      for (std::int64_t l = 0; l < args.weight_gkl.size(2); ++l) {
        const std::int64_t row = to / args.columns + k - args.weight_gkl.size(1) / 2;
        const std::int64_t column = to % args.columns + l - args.weight_gkl.size(2) / 2;
        if (row < 0 || row >= rows || column < 0 || column >= args.columns) continue;
        body(Tap{to, row * args.columns + column, k, l});
      }
    }
  }
}

}  // namespace

template <class T>
void grid_conv(const ops::GridConvArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const std::int64_t shared = channels / args.weight_gkl.size(0);
  for (std::int64_t t = 0; t < args.x_td.size(0); ++t) {
    for (std::int64_t d = 0; d < channels; ++d) {
      const T before = args.accumulate ? at<T>(args.y_td, t, d) : T(0);
      at<T>(args.y_td, t, d) = before + at_or<T>(T(0), args.bias_d, d);
    }
  }
  for_each_tap(args, [&](const Tap& tap) {
    for (std::int64_t d = 0; d < channels; ++d) {
      at<T>(args.y_td, tap.to, d) += at<T>(args.weight_gkl, d / shared, tap.k, tap.l) * at<T>(args.x_td, tap.from, d);
    }
  });
}

template <class T>
void grid_conv_backward(const ops::GridConvBackwardArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const std::int64_t shared = channels / args.weight_gkl.size(0);
  for (std::int64_t t = 0; t < args.x_td.size(0); ++t) {
    for (std::int64_t d = 0; d < channels; ++d) {
      if (args.dx_td && !args.accumulate_dx) at<T>(args.dx_td, t, d) = T(0);
      if (args.dbias_d) at<T>(args.dbias_d, d) += at<T>(args.dy_td, t, d);
    }
  }
  for_each_tap(args, [&](const Tap& tap) {
    for (std::int64_t d = 0; d < channels; ++d) {
      const T dy = at<T>(args.dy_td, tap.to, d);
      const std::int64_t g = d / shared;
      if (args.dx_td) at<T>(args.dx_td, tap.from, d) += at<T>(args.weight_gkl, g, tap.k, tap.l) * dy;
      if (args.dweight_gkl) at<T>(args.dweight_gkl, g, tap.k, tap.l) += at<T>(args.x_td, tap.from, d) * dy;
    }
  });
}

template void grid_conv<double>(const ops::GridConvArgs&);
template void grid_conv<float>(const ops::GridConvArgs&);
template void grid_conv_backward<double>(const ops::GridConvBackwardArgs&);
template void grid_conv_backward<float>(const ops::GridConvBackwardArgs&);

}  // namespace strandline::ref
