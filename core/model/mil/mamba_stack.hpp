// Mamba-2 blocks one after the other over one sequence of vectors.
#pragma once

#include <span>
#include <vector>

#include "core/model/mil/mil_context.hpp"

namespace strandline {

/// Letters: M tokens, D model width. h = h + block(h), for every block.
class MambaStack {
 public:
  MambaStack(const MilContext& context, std::vector<BlockPlace> places);

  /// In place. A token's bits do not depend on the segments.
  void forward(View h_md) const;
  /// residual[0] is the input; fills residual[1] ... residual[blocks], all (M, D).
  void forward_training(std::span<const View> residual_md) const;
  /// dresidual_md, the gradient of the last residual, becomes that of the first. Adds to the gradients.
  void backward(std::span<const View> residual_md, View dresidual_md, const Weights& gradients) const;

 private:
  BlockContext block_context() const { return {encoder_, context_.backend, context_.workspace}; }
  SegmentPlan plan_of(std::int64_t tokens) const;

  const MilContext& context_;
  EncoderConfig encoder_;
  std::vector<BlockPlace> places_;
  std::vector<BlockWeights> blocks_;
};

/// Layer `layer` of a tape (layers, M, D): rows [range.begin, range.end).
View tape_rows(const View& tape_lmd, std::int64_t layer, const TokenRange& range);

}  // namespace strandline
