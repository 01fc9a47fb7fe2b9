#include "core/model/encoder_stream.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {
namespace {

// State number `index` of a buffer of (states, ...) as a tensor of one state: (1, ...).
View state_view(const Buffer& states, std::int64_t index) { return states.view().slice(0, index, index + 1); }

std::int64_t piece_for(const EncoderConfig& config, std::int64_t wanted) {
  return std::max(config.chunk, wanted / config.chunk * config.chunk);
}

}  // namespace

EncoderStream::EncoderStream(Encoder& encoder, Sink sink, std::int64_t piece_tokens)
    : encoder_(encoder), sink_(std::move(sink)), piece_tokens_(piece_for(encoder.config(), piece_tokens)) {
  const EncoderConfig& config = encoder.config();
  if (config.direction != Direction::causal) {
    throw ContractError(
        "streaming needs a causal encoder; this one is bidirectional and reads every sequence from both ends");
  }
  Memory& memory = encoder.backend().memory();
  const DType dtype = encoder.backend().accumulate_dtype();
  hidden_ = Buffer(memory, dtype, {piece_tokens_, config.d_model});
  conv_states_ = Buffer(memory, dtype, {2 * config.layers, config.d_conv - 1, config.conv_channels()});
  ssm_states_ = Buffer(memory, dtype, {2 * config.layers, config.heads(), config.headdim, config.d_state});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (const int side : {0, 1}) {
      const std::int64_t index = 2 * layer + side;
      states_[side].push_back({state_view(conv_states_, index), state_view(ssm_states_, index)});
    }
  }
  no_states_.resize(static_cast<std::size_t>(config.layers));
  pending_.reserve(static_cast<std::size_t>(piece_tokens_));
}

void EncoderStream::push(std::span<const std::int32_t> ids) {
  while (!ids.empty()) {
    const std::size_t room = static_cast<std::size_t>(piece_tokens_) - pending_.size();
    const auto taken = ids.first(std::min(room, ids.size()));
    pending_.insert(pending_.end(), taken.begin(), taken.end());
    ids = ids.subspan(taken.size());
    if (taken.size() == room) run_pending();
  }
}

std::int64_t EncoderStream::finish() {
  if (!pending_.empty()) run_pending();
  return std::exchange(first_token_, 0);
}

void EncoderStream::run_pending() {
  const auto tokens = static_cast<std::int64_t>(pending_.size());
  const View hidden_td = hidden_.view().slice(0, 0, tokens);
  encoder_.forward_piece({.ids = pending_,
                          .state_in = first_token_ == 0 ? no_states_ : states_[1 - written_],
                          .state_out = states_[written_]},
                         hidden_td);
  written_ = 1 - written_;
  pending_.clear();
  sink_(std::exchange(first_token_, first_token_ + tokens), hidden_td);
}

}  // namespace strandline
