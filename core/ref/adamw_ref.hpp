// Truth of the optimiser's arithmetic: the formulas of core/ops/adamw.hpp, element by element.
#pragma once

#include "core/ops/adamw.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void adamw(const ops::AdamwArgs& args);

/// Summed in double, ascending.
template <class T>
double sum_of_squares(const ConstView& x);

extern template void adamw<double>(const ops::AdamwArgs&);
extern template void adamw<float>(const ops::AdamwArgs&);
extern template double sum_of_squares<double>(const ConstView&);
extern template double sum_of_squares<float>(const ConstView&);

}  // namespace strandline::ref
