// Between the projection of the patches and the pooling: from N patches to M tokens.
#pragma once

#include <memory>
#include <span>

#include "core/model/mil/mil_context.hpp"

namespace strandline {

/// Letters: N patches, M tokens, D model width. Tensors that a function returns are taken from the workspace of the
/// context, whose Scope the caller holds. forward_training keeps what backward reads, until the next call.
class MilBody {
 public:
  virtual ~MilBody() = default;
  /// h is used up. @returns (M, D), which may be h itself
  virtual View forward(View h_nd) = 0;
  virtual View forward_training(View h_nd, const DropoutDraw& draw) = 0;
  /// dtokens is used up. Adds to the gradients. @returns dh (N, D), which may be dtokens itself
  virtual View backward(View dtokens_md, const Weights& gradients) = 0;
  /// Attention per patch in the order of the bag, given what the pooling gave every token in the last forward().
  virtual void attention_of_patches(std::span<const double> weight_m, std::span<double> attention_n) const = 0;
};

std::unique_ptr<MilBody> make_identity_body();
std::unique_ptr<MilBody> make_mamba2_mil_body(const MilContext& context);
std::unique_ptr<MilBody> make_trans_mil_body(const MilContext& context);
std::unique_ptr<MilBody> make_bi_mamba_body(const MilContext& context);

}  // namespace strandline
