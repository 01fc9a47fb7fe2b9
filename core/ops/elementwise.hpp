// Contracts of sums, products, reversed channels and dropout. Truth: core/ref/elementwise_ref.hpp.
#pragma once

#include <cstdint>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// y += x, same shape; the last axis is dense. y must not overlap x.
void add(Backend& backend, ConstView x, View y);

/// y *= x, element by element; the same shape and type, both as add() takes them. y must not overlap x.
void multiply(Backend& backend, ConstView x, View y);

/// y[t, d] = x[t, D - 1 - d] over T rows of D channels, in one type, as add() takes them. y must not overlap x.
/// The backward is the same call on dy.
void reverse_channels(Backend& backend, ConstView x_td, View y_td);

/// y[i] = keep(i) ? x[i] / (1 - p) : 0 over T rows of D channels, where keep(i) holds when the draw number
/// i = (first_row + t) * D + d of (seed, stream) is at least p:
/// word i % 4 of philox(seed, stream, i / 4), as a fraction of 2^32. y may be x itself.
/// The backward is the same call on dy. 0 <= p < 1.
struct DropoutArgs {
  ConstView x_td;
  double p = 0.0;
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  std::int64_t first_row = 0;
  View y_td;
};

/// Enqueued on the back end's stream. Same seed and stream: same bits on every back end of the same type.
/// @throws ContractError naming the tensor and both shapes, before any work.
void dropout(Backend& backend, const DropoutArgs& args);

}  // namespace strandline::ops
