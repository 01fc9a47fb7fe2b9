// Contract of the softmax cross entropy. Truth: core/ref/cross_entropy_ref.hpp.
#pragma once

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: S samples, C classes. label is i32 in [0, C). With w = class_weight[label] (1 when absent), smoothing e and
/// p = softmax(logits[s]):
///
///     target[c] = (1 - e) * [c == label] + e / C
///     loss[s]   = -w * sum_c target[c] * log p[c]
///     dlogits[s, c] = scale * w * (p[c] - target[c])
///
/// `scale` is one over the sum of w in the whole optimiser step, so that accumulated micro-batches give the mean.
/// dlogits may be logits itself. Absent outputs are not computed.
struct CrossEntropyArgs {
  ConstView logits_sc;
  ConstView label_s;
  ConstView class_weight_c{};
  double label_smoothing = 0.0;
  double scale = 1.0;
  View loss_s{};
  View dlogits_sc{};
};

/// Enqueued on the back end's stream. Same input, same back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void cross_entropy(Backend& backend, const CrossEntropyArgs& args);

}  // namespace strandline::ops
