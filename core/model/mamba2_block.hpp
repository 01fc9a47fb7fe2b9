// One residual block, pre-norm where its weights have one: residual += mixers(rms_norm(residual)), forward and
// backward, over whole sequences or over a piece of one sequence with carried state.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/model/mamba2_mixer.hpp"
#include "core/model/weights.hpp"
#include "core/tensor/view.hpp"

namespace strandline {

/// Directions [begin, end): 0 is forward, 1 is reverse.
struct DirectionRange {
  int begin = 0;
  int end = 1;
  bool operator==(const DirectionRange&) const = default;
};

/// What a forward leaves for its backward, for whole sequences. Absent: the backward computes it again.
/// Memory, in elements per token: D, and for each direction R (once when tied), C and 2 I.
struct BlockKept {
  View normed_td{};
  std::array<View, 2> projected_tr{};  ///< the same view twice when tied
  std::array<MixerKept, 2> mixer{};

  explicit operator bool() const { return static_cast<bool>(normed_td); }
  BlockKept rows(std::int64_t begin, std::int64_t end) const;
};

/// Elements per token that take_kept takes.
std::int64_t kept_width(const EncoderConfig& config);
/// Room for what one block keeps of `tokens` tokens, content undefined, from the workspace.
BlockKept take_kept(const BlockContext& context, std::int64_t tokens);

/// Letters: T tokens of the segment, D model width. For every direction asked for:
///
///     projected = in_proj(rms_norm(residual))   computed once when both directions are asked for and tied
///                                               without a norm in the weights: in_proj(residual)
///     out += mixer(projected)                   Combine::concat: each direction adds to its half of the channels
///
/// State is carried only when one direction is asked for and seq_begin names one sequence.
struct BlockForwardArgs {
  ConstView residual_td;
  std::span<const std::int64_t> seq_begin;
  DirectionRange directions{};
  MixerState state_in{};
  MixerState state_out{};  ///< must not overlap state_in
  View out_td{};           ///< added to; may be residual itself; absent: only state_out is wanted
  BlockKept kept{};        ///< written by the forward, read and used up by the backward
};

/// Gradients of BlockForwardArgs given dout (`forward.out_td` is not read; `forward.state_out` must be absent):
/// dresidual and the weights' gradients are added to, dstate_in is overwritten. dresidual must not overlap dout.
struct BlockBackwardArgs {
  BlockForwardArgs forward;
  ConstView dout_td;
  MixerState dstate_out{};
  MixerState dstate_in{};
  View dresidual_td;
};

/// The bits of a token's result depend on its sequence alone, also when the sequence goes through in pieces that are a
/// multiple of config.chunk in scan order.
void block_forward(const BlockContext& context, const BlockWeights& weights, const BlockForwardArgs& args);
void block_backward(const BlockContext& context, const BlockWeights& weights, const BlockBackwardArgs& args,
                    const BlockWeights& gradients);

}  // namespace strandline
