// Truth of sums, products, reversed channels and dropout: the formulas of core/ops/elementwise.hpp, element by element.
#pragma once

#include "core/ops/elementwise.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void add(const ConstView& x, const View& y);

template <class T>
void multiply(const ConstView& x, const View& y);

template <class T>
void reverse_channels(const ConstView& x_td, const View& y_td);

template <class T>
void dropout(const ops::DropoutArgs& args);

extern template void add<double>(const ConstView&, const View&);
extern template void add<float>(const ConstView&, const View&);
extern template void multiply<double>(const ConstView&, const View&);
extern template void multiply<float>(const ConstView&, const View&);
extern template void reverse_channels<double>(const ConstView&, const View&);
extern template void reverse_channels<float>(const ConstView&, const View&);
extern template void dropout<double>(const ops::DropoutArgs&);
extern template void dropout<float>(const ops::DropoutArgs&);

}  // namespace strandline::ref
