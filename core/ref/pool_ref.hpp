// Truth of pooling: the formulas of core/ops/pool.hpp, element by element.
#pragma once

#include "core/ops/pool.hpp"

namespace strandline::ref {

/// All tensors hold T, which is double (truth) or float (the yardstick of error bounds).
template <class T>
void pool(const ops::PoolArgs& args);

template <class T>
void pool_piece(const ops::PoolPieceArgs& args);

template <class T>
void pool_backward(const ops::PoolBackwardArgs& args);

template <class T>
void attention_pool(const ops::AttentionPoolArgs& args);

template <class T>
void attention_pool_backward(const ops::AttentionPoolBackwardArgs& args);

extern template void pool<double>(const ops::PoolArgs&);
extern template void pool<float>(const ops::PoolArgs&);
extern template void pool_piece<double>(const ops::PoolPieceArgs&);
extern template void pool_piece<float>(const ops::PoolPieceArgs&);
extern template void pool_backward<double>(const ops::PoolBackwardArgs&);
extern template void pool_backward<float>(const ops::PoolBackwardArgs&);
extern template void attention_pool<double>(const ops::AttentionPoolArgs&);
extern template void attention_pool<float>(const ops::AttentionPoolArgs&);
extern template void attention_pool_backward<double>(const ops::AttentionPoolBackwardArgs&);
extern template void attention_pool_backward<float>(const ops::AttentionPoolBackwardArgs&);

}  // namespace strandline::ref
