// One direction of a Mamba-2 block, from the projected inputs to the residual stream.
#pragma once

#include <cstdint>
#include <span>

#include "core/model/config.hpp"
#include "core/model/weights.hpp"
#include "core/tensor/view.hpp"
#include "core/tensor/workspace.hpp"

namespace strandline {

class Backend;

/// What every part of a block works with.
struct BlockContext {
  const EncoderConfig& config;
  Backend& backend;
  Workspace& workspace;
};

/// What one direction carries from piece to piece of one sequence. Absent views: zeros (in), not wanted (out).
struct MixerState {
  View conv_skc{};  ///< (1, K - 1, C)
  View ssm_shpn{};  ///< (1, H, P, N)
};

/// Room for `count` states of one direction, content undefined, from the workspace.
MixerState take_states(const BlockContext& context, std::int64_t count);
/// State number `index` of such room.
MixerState state_at(const MixerState& states, std::int64_t index);

/// What a forward leaves for its backward, so that nothing is computed twice. Absent views: computed again.
struct MixerKept {
  View xbc_tc{};    ///< after convolution and SiLU
  View y_ti{};      ///< before gate and norm
  View gated_ti{};  ///< after them; used up by the backward
};

/// Letters: T tokens, R rows of in_proj (z, x, B, C, dt), O rows of out_proj.
///
///     x, B, C = silu(conv1d([x, B, C]))    y = ssd_scan(x, dt, B, C)    out += out_proj(gated_rms_norm(y, z))
struct MixerForwardArgs {
  ConstView projected_tr;
  std::span<const std::int64_t> seq_begin;
  bool reverse = false;
  MixerState state_in{};
  MixerState state_out{};  ///< must not overlap state_in
  View out_to{};           ///< added to; absent: only state_out is wanted
  MixerKept kept{};        ///< written by the forward, read by the backward
};

/// Gradients of MixerForwardArgs given dout (`forward.out_to` is not read; `forward.state_out` must be absent).
/// dprojected and dstate_in are overwritten, the weights' gradients (in_proj apart, which the mixer does not use) are
/// added to.
struct MixerBackwardArgs {
  MixerForwardArgs forward;
  ConstView dout_to;
  MixerState dstate_out{};
  MixerState dstate_in{};
  View dprojected_tr;
};

void mixer_forward(const BlockContext& context, const MixerWeights& weights, const MixerForwardArgs& args);
void mixer_backward(const BlockContext& context, const MixerWeights& weights, const MixerBackwardArgs& args,
                    const MixerWeights& gradients);

}  // namespace strandline
