// Contracts of pooling: from tokens of a sequence to one vector. Truth: core/ref/pool_ref.hpp.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

enum class PoolKind : std::uint8_t { mean, last, max };

/// Letters: T tokens in the pack, S sequences, D channels. An empty sequence gives zeros.
///
///     mean: y[s] = sum_t x[t] / length(s)      last: y[s] = x[last token]      max: y[s, d] = max_t x[t, d]
///
/// The mean is summed in double, in token order, whatever the storage type. Of equal maxima the first token counts.
struct PoolArgs {
  ConstView x_td;
  std::span<const std::int64_t> seq_begin;  ///< S + 1 ascending offsets into T: first 0, last T (host memory)
  PoolKind kind = PoolKind::mean;
  View y_sd;
};

/// Rows of the state that pool_piece carries from piece to piece.
inline constexpr std::int64_t kPoolStateRows = 9;

/// One sequence that comes in pieces of any length: the next T tokens and, where y is present, the vector of all tokens
/// so far, with the bits of `pool` on the whole sequence. T may be 0.
///
/// The state is f64; what is in it is the back end's own affair (a GPU sums blocks of 4,096 tokens apart and carries
/// the open one). It is not read when tokens_before is 0, and lives on the device: nothing passes through the host.
struct PoolPieceArgs {
  ConstView x_td;
  std::int64_t tokens_before = 0;  ///< of the sequence, in the pieces before this one
  PoolKind kind = PoolKind::mean;
  View state_kd;  ///< (kPoolStateRows, D) of f64; read and written
  View y_sd{};    ///< (1, D); absent: not wanted yet
};

/// dx is overwritten everywhere (zeros where no gradient flows). x is read for max only.
struct PoolBackwardArgs {
  ConstView x_td;
  std::span<const std::int64_t> seq_begin;
  PoolKind kind = PoolKind::mean;
  ConstView dy_sd;
  View dx_td;
};

/// Softmax of the scores within each sequence, then the weighted sum:
///
///     weight[t] = exp(score[t]) / sum over the sequence      y[s] = sum_t weight[t] * x[t]
///
/// Source: Ilse, Tomczak, Welling 2018 (arXiv 1802.04712), equation 7.
struct AttentionPoolArgs {
  ConstView x_td;
  ConstView score_t;
  std::span<const std::int64_t> seq_begin;
  View y_sd;
  View weight_t;
};

/// `weight_t` as the forward wrote it. dx and dscore are overwritten.
struct AttentionPoolBackwardArgs {
  ConstView x_td;
  ConstView weight_t;
  std::span<const std::int64_t> seq_begin;
  ConstView dy_sd;
  View dx_td;
  View dscore_t;
};

/// A sequence's bits do not depend on what else is in the pack. Enqueued on the back end's stream.
/// @throws ContractError naming the tensor and both shapes, before any work.
void pool(Backend& backend, const PoolArgs& args);
void pool_piece(Backend& backend, const PoolPieceArgs& args);
void pool_backward(Backend& backend, const PoolBackwardArgs& args);
void attention_pool(Backend& backend, const AttentionPoolArgs& args);
void attention_pool_backward(Backend& backend, const AttentionPoolBackwardArgs& args);

}  // namespace strandline::ops
