#include "core/model/encoder.hpp"

#include <array>
#include <string>

#include "core/base/error.hpp"
#include "core/model/layer.hpp"
#include "core/model/mamba2_block.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

// Keeps dropout away from every other use of the run's seed.
constexpr std::uint64_t kDropoutSalt = 0x64726f706f757421U;

constexpr const char* kEmbeddingName = "backbone.embedding.weight";
constexpr const char* kFinalNormName = "backbone.norm_f.weight";

ops::DropoutArgs dropout_args(const EncoderConfig& config, const DropoutDraw& draw, std::int64_t layer, View x_td) {
  return {.x_td = x_td,
          .p = config.dropout,
          .seed = draw.seed ^ kDropoutSalt,
          .stream = draw.draw * static_cast<std::uint64_t>(config.layers) + static_cast<std::uint64_t>(layer),
          .y_td = x_td};
}

EncoderConfig validated(const EncoderConfig& config) {
  config.validate();
  return config;
}

}  // namespace

View EncoderTape::residual_td(std::int64_t index) const {
  const View one = residual_ltd_.slice(0, index, index + 1);
  return {one.data(), one.dtype(), {one.size(1), one.size(2)}, one.device()};
}

Encoder::Encoder(const EncoderConfig& config, Backend& backend, const Weights& weights, const EncoderOptions& options)
    : config_(validated(config)),
      options_(options),
      backend_(backend),
      workspace_(backend.memory()),
      embedding_vd_(weights.view(kEmbeddingName)),
      norm_f_d_(weights.view(kFinalNormName)) {
  if (options.segment_tokens < 1) {
    throw ContractError("encoder: segment_tokens is " + std::to_string(options.segment_tokens) +
                        "; it must be at least 1");
  }
  for (std::int64_t layer = 0; layer < config.layers; ++layer) blocks_.push_back(block_weights(config, weights, layer));
}

void Encoder::forward(const PackedBatch& batch, View hidden_td) {
  check_hidden(batch, hidden_td, "hidden");
  if (batch.tokens() == 0) return;
  const SegmentPlan plan(batch.seq_begin(), options_.segment_tokens, config_.chunk);
  embed(batch.ids(), hidden_td);
  for (const BlockWeights& block : blocks_) {
    layer_forward(context(), block, {plan, hidden_td, hidden_td, {}, options_.copy_bytes});
  }
  final_norm(hidden_td, hidden_td);
}

EncoderTape Encoder::forward_training(const PackedBatch& batch, const DropoutDraw& dropout, View hidden_td) {
  check_hidden(batch, hidden_td, "hidden");
  EncoderTape tape(workspace_.take(backend_.accumulate_dtype(), {config_.layers + 1, batch.tokens(), config_.d_model}),
                   dropout);
  if (batch.tokens() == 0) return tape;
  const SegmentPlan plan(batch.seq_begin(), options_.segment_tokens, config_.chunk);
  tape.keep(take_kept_blocks(batch.tokens(), plan));
  embed(batch.ids(), tape.residual_td(0));
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    if (config_.dropout > 0) {
      layer_forward_with_dropout(layer, plan, tape);
      continue;
    }
    copy_dense(backend_.memory(), tape.residual_td(layer), tape.residual_td(layer + 1));
    layer_forward(context(), blocks_[static_cast<std::size_t>(layer)],
                  {plan, tape.residual_td(layer), tape.residual_td(layer + 1), tape.kept(layer)});
  }
  final_norm(tape.residual_td(config_.layers), hidden_td);
  return tape;
}

void Encoder::layer_forward_with_dropout(std::int64_t layer, const SegmentPlan& plan, const EncoderTape& tape) {
  const View input_td = tape.residual_td(layer);
  const View output_td = tape.residual_td(layer + 1);
  backend_.memory().zero(output_td.data(), static_cast<std::size_t>(output_td.elements()) * size_of(output_td.dtype()));
  layer_forward(context(), blocks_[static_cast<std::size_t>(layer)], {plan, input_td, output_td, tape.kept(layer)});
  ops::dropout(backend_, dropout_args(config_, tape.dropout(), layer, output_td));
  ops::add(backend_, input_td, output_td);
}

void Encoder::backward(const PackedBatch& batch, const EncoderTape& tape, View dhidden_td, Weights& gradients) {
  check_hidden(batch, dhidden_td, "dhidden");
  if (batch.tokens() == 0) return;
  const Workspace::Scope scope(workspace_);
  const SegmentPlan plan(batch.seq_begin(), options_.segment_tokens, config_.chunk);
  const View dresidual_td = workspace_.take(dhidden_td.dtype(), dhidden_td.shape());
  ops::rms_norm_backward(backend_, {.x_td = tape.residual_td(config_.layers),
                                    .weight_d = norm_f_d_,
                                    .eps = config_.norm_eps,
                                    .dy_td = dhidden_td,
                                    .dx_td = dresidual_td,
                                    .dweight_d = gradients.view(kFinalNormName)});
  const View doutput_td = dhidden_td;  // used up above: from here on the gradient of the mixers' sum
  for (std::int64_t layer = config_.layers - 1; layer >= 0; --layer) {
    copy_dense(backend_.memory(), dresidual_td, doutput_td);
    if (config_.dropout > 0) ops::dropout(backend_, dropout_args(config_, tape.dropout(), layer, doutput_td));
    layer_backward(context(), blocks_[static_cast<std::size_t>(layer)],
                   {plan, tape.residual_td(layer), doutput_td, dresidual_td, tape.kept(layer)},
                   block_weights(config_, gradients, layer));
  }
  ops::embedding_backward(
      backend_, {.ids_t = take_ids(batch.ids()), .dy_td = dresidual_td, .dtable_vd = gradients.view(kEmbeddingName)});
}

void Encoder::forward_piece(const Piece& piece, View hidden_td) {
  const std::array<std::int64_t, 2> seq_begin{0, static_cast<std::int64_t>(piece.ids.size())};
  embed(piece.ids, hidden_td);
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    block_forward(context(), blocks_[layer],
                  {.residual_td = hidden_td,
                   .seq_begin = seq_begin,
                   .state_in = piece.state_in[layer],
                   .state_out = piece.state_out[layer],
                   .out_td = hidden_td});
  }
  final_norm(hidden_td, hidden_td);
}

std::vector<BlockKept> Encoder::take_kept_blocks(std::int64_t tokens, const SegmentPlan& plan) {
  std::vector<BlockKept> kept(static_cast<std::size_t>(config_.layers));
  const std::int64_t token_bytes =
      config_.layers * kept_width(config_) * static_cast<std::int64_t>(size_of(backend_.dtype()));
  if (plan.has_pieces() || tokens > options_.keep_bytes / token_bytes) return kept;
  for (BlockKept& block : kept) block = take_kept(context(), tokens);
  return kept;
}

View Encoder::take_ids(std::span<const std::int32_t> ids) {
  const View ids_t = workspace_.take(DType::i32, {static_cast<std::int64_t>(ids.size())});
  backend_.memory().upload(ids_t.data(), ids.data(), ids.size_bytes());
  return ids_t;
}

void Encoder::embed(std::span<const std::int32_t> ids, View residual_td) {
  const Workspace::Scope scope(workspace_);
  ops::embedding(backend_, {.ids_t = take_ids(ids), .table_vd = embedding_vd_, .y_td = residual_td});
}

void Encoder::final_norm(ConstView residual_td, View hidden_td) {
  ops::rms_norm(backend_, {.x_td = residual_td, .weight_d = norm_f_d_, .eps = config_.norm_eps, .y_td = hidden_td});
}

void Encoder::check_hidden(const PackedBatch& batch, ConstView hidden_td, const char* name) const {
  const Shape wanted{batch.tokens(), config_.d_model};
  if (hidden_td.shape() == wanted && hidden_td.is_dense() && hidden_td.dtype() == backend_.accumulate_dtype()) return;
  throw ContractError("encoder: " + std::string(name) + " has shape " + to_string(hidden_td.shape()) + " of " +
                      std::string(name_of(hidden_td.dtype())) + "; it must be dense, " + to_string(wanted) + " of " +
                      std::string(name_of(backend_.accumulate_dtype())));
}

}  // namespace strandline
