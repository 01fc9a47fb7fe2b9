// One layer of TransMIL: pre-norm Nystrom attention with a convolution over the values, added to the residual stream.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/model/mil/mil_context.hpp"

namespace strandline {

/// Letters: N tokens, D model width, H heads, P = D / H, M landmarks; N' is N rounded up to a multiple of M.
///
///     x = layer_norm(residual), with N' - N rows of zeros in front
///     q, k, v = W x                                    each head for itself from here on
///     ql, kl = means of N' / M neighbouring rows of q, k
///     y = softmax(q kl^T / sqrt(P)) pseudo_inverse(softmax(ql kl^T / sqrt(P))) softmax(ql k^T / sqrt(P)) v
///     y += convolution of v along the tokens, one set of taps per head
///     residual += dropout(out(y)), the rows of zeros cut off
///
/// No tensor is N by M: the two long softmaxes are attentions (core/ops/attention.hpp).
/// Source: Shao et al. 2021 (arXiv 2106.00908); Xiong et al. 2021 (arXiv 2102.03902).
class NystromLayer {
 public:
  /// Layer number `index` of the weights `layers.<index>.*`.
  NystromLayer(const MilContext& context, std::int64_t index);

  /// output = residual + ..., both (N, D), not the same. `draw` null: no dropout.
  void forward(ConstView residual_nd, const DropoutDraw* draw, View output_nd) const;
  /// doutput becomes the gradient of the residual. Adds to the gradients. Computes the forward once more.
  void backward(ConstView residual_nd, const DropoutDraw* draw, View doutput_nd, const Weights& gradients) const;
  /// What the first token pays to every token of the residual, the mean over the heads. Rows of a pseudo-inverse are
  /// not positive: neither is every share.
  void attention_of_first(ConstView residual_nd, std::span<double> paid_n) const;

 private:
  struct Pass;
  struct Gradient;
  Pass take_pass(std::int64_t tokens, std::int64_t pad) const;
  Pass run(ConstView residual_nd) const;
  void compare_landmarks(const Pass& pass) const;
  void attend(const Pass& pass) const;
  Gradient take_gradient(const Pass& pass) const;
  void attend_backward(const Pass& pass, const Gradient& gradient) const;
  void compare_backward(const Pass& pass, const Gradient& gradient) const;
  void gather_backward(const Pass& pass, const Gradient& gradient) const;
  std::vector<double> landmark_shares(const Pass& pass) const;

  View weight(const char* name) const { return context_.weights.view(prefix_ + name); }
  double scale() const;
  std::int64_t heads() const { return context_.config.heads; }
  std::int64_t landmarks() const { return context_.config.landmarks; }

  const MilContext& context_;
  std::int64_t index_;
  std::string prefix_;
};

}  // namespace strandline
