// One pre-norm residual block: residual += mixers(rms_norm(residual)), forward and backward, over whole sequences or
// over a piece of one sequence with carried state.
#pragma once

#include <cstdint>
#include <span>

#include "core/model/config.hpp"
#include "core/model/weights.hpp"
#include "core/tensor/view.hpp"
#include "core/tensor/workspace.hpp"

namespace strandline {

class Backend;

struct BlockContext {
  const EncoderConfig& config;
  Backend& backend;
  Workspace& workspace;
};

/// What one direction carries from piece to piece of one sequence. Absent views: zeros (in), not wanted (out).
struct MixerState {
  View conv_skc;  ///< (1, K - 1, C)
  View ssm_shpn;  ///< (1, H, P, N)
};

/// Letters: T tokens of the segment, D model width.
/// For every direction in [direction_begin, direction_end):
///
///     [z, x, B, C, dt] = in_proj(rms_norm(residual))         computed once for both directions when they are tied
///     x, B, C = silu(conv1d([x, B, C]))    y = ssd_scan(x, dt, B, C)
///     out += out_proj(gated_rms_norm(y, z))                  `concat`: each direction adds to its half of the channels
///
/// State is carried only when one direction is asked for and seq_begin names one sequence.
struct BlockForwardArgs {
  ConstView residual_td;
  std::span<const std::int64_t> seq_begin;
  int direction_begin = 0;  ///< 0 forward, 1 reverse
  int direction_end = 1;
  MixerState state_in{};
  MixerState state_out{};  ///< must not overlap state_in
  View out_td{};           ///< added to; may be residual itself; absent: only state_out is wanted
};

/// Gradients of BlockForwardArgs given dout (`forward.out_td` and `forward.state_out` are not read): dresidual and the
/// weights' gradients are added to, dstate_in is overwritten. dresidual must not overlap dout.
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

/// A zeroed state, or one with undefined content, from the workspace.
MixerState take_state(const BlockContext& context);

}  // namespace strandline
