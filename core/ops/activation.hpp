// Contract of the activations. Truth: core/ref/activation_ref.hpp.
#pragma once

#include <cstdint>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

enum class ActivationKind : std::uint8_t {
  relu,     ///< max(x, 0); its slope at 0 is 0
  gelu,     ///< x * Phi(x), Phi the normal distribution function: the exact form, not the one with tanh
  tanh,     ///< tanh(x)
  sigmoid,  ///< 1 / (1 + exp(-x))
};

/// Letters: T tokens, D channels. y[t, d] = f(x[t, d]). The last axis is dense. y may be x itself. T = 0 does nothing.
/// NaN stays NaN.
/// Source of gelu: Hendrycks and Gimpel 2016 (arXiv 1606.08415).
struct ActivationArgs {
  ConstView x_td;
  ActivationKind kind = ActivationKind::relu;
  View y_td;
};

/// dx = dy * f'(x), with x what the forward read. dx is overwritten; it may be dy itself.
struct ActivationBackwardArgs {
  ConstView x_td;
  ActivationKind kind = ActivationKind::relu;
  ConstView dy_td;
  View dx_td;
};

/// An element's bits depend on that element alone. Enqueued on the back end's stream.
/// @throws ContractError naming the tensor and both shapes, before any work.
void activation(Backend& backend, const ActivationArgs& args);
void activation_backward(Backend& backend, const ActivationBackwardArgs& args);

}  // namespace strandline::ops
