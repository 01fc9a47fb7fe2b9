#include "core/ref/elementwise_ref.hpp"

#include <array>

#include "core/base/philox.hpp"
#include "core/ref/element.hpp"

namespace strandline::ref {
namespace {

/// Calls body(x's element, y's element) for every element.
template <class T, class Body, class... Index>
void for_pairs(const ConstView& x, const View& y, const Body& body, Index... index) {
  constexpr int kAxis = sizeof...(Index);
  if (kAxis == x.rank()) {
    body(at<T>(x, index...), at<T>(y, index...));
  } else if constexpr (kAxis < kMaxRank) {
    for (std::int64_t i = 0; i < x.size(kAxis); ++i) for_pairs<T>(x, y, body, index..., i);
  }
}

}  // namespace

template <class T>
void add(const ConstView& x, const View& y) {
  for_pairs<T>(x, y, [](const T& from, T& to) { to += from; });
}

template <class T>
void multiply(const ConstView& x, const View& y) {
  for_pairs<T>(x, y, [](const T& from, T& to) { to *= from; });
}

template <class T>
void reverse_channels(const ConstView& x_td, const View& y_td) {
  const std::int64_t channels = x_td.size(1);
  for (std::int64_t t = 0; t < x_td.size(0); ++t) {
    for (std::int64_t d = 0; d < channels; ++d) at<T>(y_td, t, d) = at<T>(x_td, t, channels - 1 - d);
  }
}

template <class T>
void dropout(const ops::DropoutArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  for (std::int64_t t = 0; t < args.x_td.size(0); ++t) {
    for (std::int64_t d = 0; d < channels; ++d) {
      const auto draw = static_cast<std::uint64_t>((args.first_row + t) * channels + d);
      const std::uint32_t word = philox(args.seed, args.stream, draw / 4)[draw % 4];
      const bool keep = static_cast<double>(word) * 0x1p-32 >= args.p;
      at<T>(args.y_td, t, d) = keep ? at<T>(args.x_td, t, d) / static_cast<T>(1.0 - args.p) : T(0);
    }
  }
}

template void add<double>(const ConstView&, const View&);
template void add<float>(const ConstView&, const View&);
template void multiply<double>(const ConstView&, const View&);
template void multiply<float>(const ConstView&, const View&);
template void reverse_channels<double>(const ConstView&, const View&);
template void reverse_channels<float>(const ConstView&, const View&);
template void dropout<double>(const ops::DropoutArgs&);
template void dropout<float>(const ops::DropoutArgs&);

}  // namespace strandline::ref
