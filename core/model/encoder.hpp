// The encoder: embedding, a stack of Mamba-2 blocks around one residual stream, a final norm.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "core/backend.hpp"
#include "core/model/config.hpp"
#include "core/model/mamba2_block.hpp"
#include "core/model/packed_batch.hpp"
#include "core/model/segments.hpp"
#include "core/model/weights.hpp"
#include "core/tensor/workspace.hpp"

namespace strandline {

struct EncoderOptions {
  /// Tokens of a pack that go through a layer at once. Changes memory and speed, never what forward() gives; gradients
  /// of weights are summed segment by segment, so their last bits depend on it.
  std::int64_t segment_tokens = 16384;
  /// What a training step may keep of the inside of the blocks instead of computing it again in the backward (a quarter
  /// of its time). Used when all of it fits and no sequence goes through in pieces. Changes memory and speed, never a
  /// result.
  std::int64_t keep_bytes = std::int64_t{1} << 29;
  /// A bidirectional layer needs its input twice where a sequence goes through in pieces: a larger copy than this is
  /// not taken, and some of the layer is computed twice instead. Changes memory and speed, never a result.
  std::int64_t copy_bytes = std::numeric_limits<std::int64_t>::max();
};

/// Which dropout masks a training step draws: functions of these two numbers, so that resuming needs no generator
/// state.
struct DropoutDraw {
  std::uint64_t seed = 0;
  std::uint64_t draw = 0;  ///< different for every micro-batch of a run
};

/// What a backward needs of its forward: the residual stream before each layer and after the last and, where there is
/// room, the inside of the blocks.
class EncoderTape {
 public:
  EncoderTape() = default;
  EncoderTape(View residual_ltd, DropoutDraw dropout) : residual_ltd_(residual_ltd), dropout_(dropout) {}
  /// (T, D): the input of layer `index`; index == layers: the output of the last.
  View residual_td(std::int64_t index) const;
  DropoutDraw dropout() const { return dropout_; }
  /// Used up by the backward.
  const BlockKept& kept(std::int64_t layer) const { return kept_[static_cast<std::size_t>(layer)]; }
  void keep(std::vector<BlockKept> kept) { kept_ = std::move(kept); }

 private:
  View residual_ltd_;
  DropoutDraw dropout_;
  std::vector<BlockKept> kept_;
};

/// Letters: T tokens in the pack, D model width. hidden is in the back end's accumulation type, in its memory.
/// Sees the numbers of `weights` as they are at each call; one thread at a time. Tensors in between come from
/// workspace().
class Encoder {
 public:
  /// `weights` must hold the layout of `config` (a classifier's layout does) and outlive the encoder.
  /// @throws ContractError when the configuration is not valid or a tensor is missing.
  Encoder(const EncoderConfig& config, Backend& backend, const Weights& weights, const EncoderOptions& options = {});
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// hidden = norm_f(residual). hidden_td (T, D) is overwritten; it serves as the residual stream, so the only other
  /// tensor as long as the pack is, for a bidirectional encoder, a copy of a sequence that does not fit in a segment,
  /// where options().copy_bytes allows it.
  /// A sequence's bits depend on that sequence alone: not on the pack, nor on segment_tokens.
  void forward(const PackedBatch& batch, View hidden_td);

  /// The same, with dropout, keeping what backward needs. The tape lives in workspace(): hold a Workspace::Scope.
  /// Memory: (layers + 1) T D, and at most options().keep_bytes.
  EncoderTape forward_training(const PackedBatch& batch, const DropoutDraw& dropout, View hidden_td);

  /// Adds to `gradients` (the layout of the weights). What the tape does not keep is computed again, block by block and
  /// segment by segment. The tape and dhidden_td are used up: their content is undefined afterwards.
  void backward(const PackedBatch& batch, const EncoderTape& tape, View dhidden_td, Weights& gradients);

  const EncoderConfig& config() const { return config_; }
  const EncoderOptions& options() const { return options_; }
  Backend& backend() const { return backend_; }
  Workspace& workspace() { return workspace_; }

  /// The causal layers over the next piece of one sequence, with the carried state of every layer. residual_td is
  /// overwritten with the hidden states. For EncoderStream.
  struct Piece {
    std::span<const std::int32_t> ids;
    std::span<const MixerState> state_in;  ///< one per layer; absent views at a sequence's start
    std::span<const MixerState> state_out;
  };
  void forward_piece(const Piece& piece, View hidden_td);

 private:
  BlockContext context() { return {config_, backend_, workspace_}; }
  std::vector<BlockKept> take_kept_blocks(std::int64_t tokens, const SegmentPlan& plan);
  View take_ids(std::span<const std::int32_t> ids);
  void embed(std::span<const std::int32_t> ids, View residual_td);
  void layer_forward_with_dropout(std::int64_t layer, const SegmentPlan& plan, const EncoderTape& tape);
  void final_norm(ConstView residual_td, View hidden_td);
  void check_hidden(const PackedBatch& batch, ConstView hidden_td, const char* name) const;

  EncoderConfig config_;
  EncoderOptions options_;
  Backend& backend_;
  Workspace workspace_;
  std::vector<BlockWeights> blocks_;
  View embedding_vd_;
  View norm_f_d_;
};

}  // namespace strandline
