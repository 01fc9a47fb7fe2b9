// Truth of attention and softmax: the formulas of core/ops/attention.hpp, element by element.
#pragma once

#include "core/ops/attention.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void attention(const ops::AttentionArgs& args);

template <class T>
void attention_backward(const ops::AttentionBackwardArgs& args);

template <class T>
void softmax(const ops::SoftmaxArgs& args);

template <class T>
void softmax_backward(const ops::SoftmaxBackwardArgs& args);

extern template void attention<double>(const ops::AttentionArgs&);
extern template void attention<float>(const ops::AttentionArgs&);
extern template void attention_backward<double>(const ops::AttentionBackwardArgs&);
extern template void attention_backward<float>(const ops::AttentionBackwardArgs&);
extern template void softmax<double>(const ops::SoftmaxArgs&);
extern template void softmax<float>(const ops::SoftmaxArgs&);
extern template void softmax_backward<double>(const ops::SoftmaxBackwardArgs&);
extern template void softmax_backward<float>(const ops::SoftmaxBackwardArgs&);

}  // namespace strandline::ref
