// Classifies one causal sequence of any length in constant memory.
#pragma once

#include <cstdint>
#include <span>

#include "core/model/classifier.hpp"
#include "core/model/encoder_stream.hpp"
#include "core/tensor/buffer.hpp"

namespace strandline {

/// Any split of a sequence gives the bits of Classifier::predict and embed on the whole.
class ClassifierStream {
 public:
  /// True when `config` can be streamed: a causal encoder, and a pooling that needs one pass (not attention).
  static bool supports(const ClassifierConfig& config);

  /// @throws ContractError naming what is not supported.
  explicit ClassifierStream(Classifier& classifier, std::int64_t piece_tokens = 4096);
  ClassifierStream(const ClassifierStream&) = delete;  // the encoder stream holds a pointer to this object
  ClassifierStream& operator=(const ClassifierStream&) = delete;

  void push(std::span<const std::int32_t> ids) { stream_.push(ids); }
  /// Ends the sequence and starts a new one. @param logits C floats. @param pooled D floats; an empty span: not wanted.
  void finish(std::span<float> logits, std::span<float> pooled = {});

 private:
  void pool(ConstView hidden_td, View pooled_sd);

  Classifier& classifier_;
  EncoderStream stream_;
  Buffer state_;  // of ops::pool_piece
  Buffer pooled_;
  std::int64_t tokens_ = 0;  // of the sequence, in the state
};

}  // namespace strandline
