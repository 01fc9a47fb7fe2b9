// A causal encoder over one sequence of any length in constant memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/model/encoder.hpp"
#include "core/tensor/buffer.hpp"

namespace strandline {

/// Takes a sequence in any split and hands out its hidden states (after norm_f) in order, with the same bits as
/// Encoder::forward of the whole sequence: inside, tokens are cut again at multiples of the chunk.
/// Memory: piece_tokens rows, and conv and ssm state per layer, whatever the length.
class EncoderStream {
 public:
  /// hidden_td (T, D) holds tokens [first_token, first_token + T); valid during the call.
  using Sink = std::function<void(std::int64_t first_token, ConstView hidden_td)>;

  /// `encoder` must outlive the stream; other streams and calls may use it in between.
  /// @param piece_tokens rounded to a multiple of the chunk; at least one chunk.
  /// @throws ContractError when the encoder is bidirectional.
  EncoderStream(Encoder& encoder, Sink sink, std::int64_t piece_tokens = 4096);

  void push(std::span<const std::int32_t> ids);
  /// Hands out what is left and starts a new sequence. Returns the tokens of the finished one.
  std::int64_t finish();

 private:
  void run_pending();

  Encoder& encoder_;
  Sink sink_;
  std::int64_t piece_tokens_;
  std::vector<std::int32_t> pending_;
  std::int64_t first_token_ = 0;  // of pending_
  Buffer hidden_;
  // Two states per layer: one is read while the other is written.
  Buffer conv_states_;
  Buffer ssm_states_;
  std::vector<MixerState> states_[2];
  std::vector<MixerState> no_states_;  // absent views: the start of a sequence
  int written_ = 0;                    // which of states_ the next piece writes
};

}  // namespace strandline
