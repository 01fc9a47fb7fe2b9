// One block over a whole pack, segment by segment, carrying state where a sequence goes through in pieces.
#pragma once

#include <cstdint>
#include <limits>

#include "core/model/mamba2_block.hpp"
#include "core/model/segments.hpp"
#include "core/model/weights.hpp"
#include "core/tensor/view.hpp"

namespace strandline {

/// output += mixers(rms_norm(input)), both (T, D) dense in the accumulation type. output may be input itself: then a
/// sequence that goes through in pieces in two directions is copied first, because both read the layer's input; or,
/// where the copy would take more than copy_bytes, the states at the reverse direction's cuts are computed first, which
/// takes about a third more time.
struct LayerForwardArgs {
  const SegmentPlan& plan;
  ConstView input_td;
  View output_td;
  BlockKept kept{};  ///< of the whole pack; only for a plan without pieces
  std::int64_t copy_bytes = std::numeric_limits<std::int64_t>::max();
};

/// dinput and the weights' gradients are added to. dinput must not overlap doutput.
/// A sequence in pieces costs one more forward of convolution and scan, for the states at its cuts.
struct LayerBackwardArgs {
  const SegmentPlan& plan;
  ConstView input_td;
  ConstView doutput_td;
  View dinput_td;
  BlockKept kept{};  ///< what the forward left, or absent
};

/// The bits of a token's output depend on its sequence alone, not on the plan.
void layer_forward(const BlockContext& context, const BlockWeights& weights, const LayerForwardArgs& args);
void layer_backward(const BlockContext& context, const BlockWeights& weights, const LayerBackwardArgs& args,
                    const BlockWeights& gradients);

}  // namespace strandline
