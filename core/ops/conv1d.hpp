// Contract of the causal depthwise convolution with optional SiLU. Truth: core/ref/conv1d_ref.hpp.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: T tokens in the pack, S sequences, C channels, K taps (2 <= K <= 8). The last axis of every tensor is
/// dense. Each sequence stands alone. In scan order (ascending tokens, or descending within the sequence when
/// `reverse`):
///
///     u[t, c] = bias[c] + sum_k weight[c, k] * x[t - (K - 1) + k, c]      y = u * sigmoid(u) when `silu`, else u
///
/// where x before the sequence's first token comes from initial_state (zeros when absent): row K-2 is the token just
/// before. final_state receives the last K-1 inputs in scan order, oldest first, taking older ones from initial_state
/// when the sequence is shorter. y must not overlap an input. Empty packs and empty sequences are legal; an empty
/// sequence's final state is its initial state.
struct Conv1dArgs {
  ConstView x_tc;
  ConstView weight_ck;
  ConstView bias_c{};                       ///< absent: no bias
  std::span<const std::int64_t> seq_begin;  ///< S + 1 ascending offsets into T: first 0, last T (host memory)
  bool reverse = false;
  bool silu = true;
  ConstView initial_state_skc{};  ///< (S, K-1, C); absent: zeros
  View final_state_skc{};         ///< (S, K-1, C); absent: not wanted
  View y_tc;
};

/// Gradients given dy (and, if present, the gradient of final_state). u is recomputed.
/// dx and dinitial_state are overwritten; dweight and dbias are added to. Absent outputs are not computed.
struct Conv1dBackwardArgs {
  ConstView x_tc;
  ConstView weight_ck;
  ConstView bias_c{};
  std::span<const std::int64_t> seq_begin;
  bool reverse = false;
  bool silu = true;
  ConstView initial_state_skc{};
  ConstView dy_tc;
  ConstView dfinal_state_skc{};
  View dx_tc{};
  View dweight_ck{};
  View dbias_c{};
  View dinitial_state_skc{};
};

/// A sequence's bits do not depend on what else is in the pack, nor on where the sequence is split into pieces with
/// carried state. Enqueued on the back end's stream. Same input, same back end: same bits.
/// Cost: reads x once, writes y once; 2 K T C flop.
/// @throws ContractError naming the tensor and both shapes, before any work.
/// Source: the short convolution of Mamba, Gu and Dao 2023 (arXiv 2312.00752), section 3.4.
void conv1d(Backend& backend, const Conv1dArgs& args);
void conv1d_backward(Backend& backend, const Conv1dBackwardArgs& args);

}  // namespace strandline::ops
