// The network that scores the patches of a bag for attention pooling.
#pragma once

#include "core/model/mil/mil_context.hpp"

namespace strandline {

/// Letters: M tokens, D model width, A attention width.
///
///     score[m] = w . tanh(V h[m] + b) + c                                    plain
///     score[m] = w . (tanh(V h[m] + b) * sigmoid(U h[m] + a)) + c            gated
///
/// In segments: nothing but the scores is as long as the bag.
/// Source: Ilse, Tomczak, Welling 2018 (arXiv 1802.04712), equations 8 and 9.
class AttentionNet {
 public:
  explicit AttentionNet(const MilContext& context);

  /// score_m1 is (M, 1), overwritten.
  void forward(ConstView h_md, View score_m1) const;
  /// dh is added to, as are the gradients of the weights.
  void backward(ConstView h_md, ConstView dscore_m1, View dh_md, const Weights& gradients) const;

 private:
  struct Hidden;
  Hidden hidden_of(ConstView h_sd) const;
  struct Lane;
  void lane_backward(const Lane& lane, const Weights& gradients) const;

  const MilContext& context_;
};

}  // namespace strandline
