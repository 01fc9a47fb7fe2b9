// The projection in front of every aggregator: features of a patch to model width, activation, dropout.
#pragma once

#include "core/model/mil/mil_context.hpp"

namespace strandline {

/// Letters: N patches, D model width. Goes through a bag in segments, so that no tensor is as long as the bag but h.
///
///     h[n] = dropout(f(stem.weight features[n] + stem.bias))
class MilStem {
 public:
  explicit MilStem(const MilContext& context);

  void forward(const BagView& bag, View h_nd) const;
  void forward_training(const BagView& bag, const DropoutDraw& draw, View h_nd) const;
  /// Adds to the gradients; recomputes what the activation read. dh is used up.
  void backward(const BagView& bag, const DropoutDraw& draw, View dh_nd, const Weights& gradients) const;

 private:
  bool drops() const;
  View upload(const BagView& bag, const TokenRange& range) const;
  void project(ConstView x_si, View h_sd) const;

  const MilContext& context_;
  View weight_di_;
  View bias_d_;
};

}  // namespace strandline
