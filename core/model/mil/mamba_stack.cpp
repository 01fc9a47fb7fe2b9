#include "core/model/mil/mamba_stack.hpp"

#include <array>
#include <utility>

#include "core/model/layer.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {

View tape_rows(const View& tape_lmd, std::int64_t layer, const TokenRange& range) {
  const View one = tape_lmd.slice(0, layer, layer + 1).slice(1, range.begin, range.end);
  return {one.data(), one.dtype(), {range.size(), one.size(2)}, one.device()};
}

MambaStack::MambaStack(const MilContext& context, std::vector<BlockPlace> places)
    : context_(context), encoder_(context.config.encoder()), places_(std::move(places)) {
  for (const BlockPlace& place : places_) blocks_.push_back(block_weights(encoder_, context.weights, place));
}

SegmentPlan MambaStack::plan_of(std::int64_t tokens) const {
  const std::array<std::int64_t, 2> seq_begin{0, tokens};
  return {seq_begin, context_.segment_patches, encoder_.chunk};
}

void MambaStack::forward(View h_md) const {
  const SegmentPlan plan = plan_of(h_md.size(0));
  for (const BlockWeights& block : blocks_) layer_forward(block_context(), block, {plan, h_md, h_md});
}

void MambaStack::forward_training(std::span<const View> residual_md) const {
  const SegmentPlan plan = plan_of(residual_md.front().size(0));
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    copy_dense(context_.backend.memory(), residual_md[layer], residual_md[layer + 1]);
    layer_forward(block_context(), blocks_[layer], {plan, residual_md[layer], residual_md[layer + 1]});
  }
}

void MambaStack::backward(std::span<const View> residual_md, View dresidual_md, const Weights& gradients) const {
  const Workspace::Scope scope(context_.workspace);
  const SegmentPlan plan = plan_of(dresidual_md.size(0));
  const View doutput_md = context_.workspace.take(dresidual_md.dtype(), dresidual_md.shape());
  for (std::size_t layer = blocks_.size(); layer-- > 0;) {
    copy_dense(context_.backend.memory(), dresidual_md, doutput_md);
    layer_backward(block_context(), blocks_[layer], {plan, residual_md[layer], doutput_md, dresidual_md},
                   block_weights(encoder_, gradients, places_[layer]));
  }
}

}  // namespace strandline
