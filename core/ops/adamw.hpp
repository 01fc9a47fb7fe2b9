// Contracts of the optimiser's arithmetic. Truth: core/ref/adamw_ref.hpp.
#pragma once

#include <cstdint>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// One AdamW step on n numbers, with g = grad_scale * grad and step counted from 1:
///
///     m = beta1 * m + (1 - beta1) * g      v = beta2 * v + (1 - beta2) * g^2
///     param -= lr * (m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + eps) + weight_decay * param)
///
/// param, m and v are in the accumulation type (fp32; fp64 in the reference); all dense, rank 1, of one size.
/// Source: Loshchilov and Hutter 2019 (arXiv 1711.05101), algorithm 2.
struct AdamwArgs {
  View param_n;
  ConstView grad_n;
  View m_n;
  View v_n;
  double learning_rate = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double grad_scale = 1.0;  ///< clipping: min(1, max_norm / norm)
  std::int64_t step = 1;
};

void adamw(Backend& backend, const AdamwArgs& args);

/// Sum of squares of a dense tensor, in double, in one fixed order. Waits for the stream.
double sum_of_squares(Backend& backend, ConstView x);

}  // namespace strandline::ops
