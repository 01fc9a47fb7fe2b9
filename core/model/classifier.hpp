// An encoder, a pooling and a linear head: one vector of class scores per sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/backend.hpp"
#include "core/model/config.hpp"
#include "core/model/encoder.hpp"
#include "core/model/packed_batch.hpp"
#include "core/model/weights.hpp"

namespace strandline {

/// `scale` is one over the sum of class weights over all samples of the optimiser step (see ops::CrossEntropyArgs).
struct TrainStepArgs {
  std::span<const float> class_weights{};  ///< one per class; empty: all 1
  double label_smoothing = 0.0;
  double scale = 1.0;
  DropoutDraw dropout{};
};

struct TrainStepResult {
  double loss_sum = 0.0;     ///< sum over sequences of class weight * cross entropy, without `scale`
  std::int64_t correct = 0;  ///< sequences whose largest logit is the label's
};

/// Letters: S sequences of the batch, C classes, D model width.
/// One thread at a time. After the first pass over a shape nothing is allocated from the back end's memory.
class Classifier {
 public:
  /// Weights start as zeros: call initialise(), or set them. @throws ContractError when `config` is not valid.
  Classifier(const ClassifierConfig& config, Backend& backend, const EncoderOptions& options = {});

  const ClassifierConfig& config() const { return config_; }
  Backend& backend() const { return encoder_.backend(); }
  Encoder& encoder() { return encoder_; }
  Weights& weights() { return weights_; }
  const Weights& weights() const { return weights_; }
  void initialise(std::uint64_t seed);

  /// A sequence's bits depend on that sequence alone. An empty sequence pools to zeros.
  /// @param logits S * C floats, overwritten. @param pooled S * D floats, overwritten.
  void predict(const PackedBatch& batch, std::span<float> logits);
  void embed(const PackedBatch& batch, std::span<float> pooled);
  /// Both in one pass.
  void predict(const PackedBatch& batch, std::span<float> logits, std::span<float> pooled);

  /// Forward and backward; adds to gradients(). labels: S numbers in [0, C).
  TrainStepResult train_step(const PackedBatch& batch, std::span<const std::int32_t> labels, const TrainStepArgs& args);
  /// Made of zeros at first use.
  Weights& gradients();
  void zero_gradients() { gradients().zero(); }

  /// The head on one pooled vector (1, D), as if it came from this encoder. ClassifierStream ends with this.
  void head(ConstView pooled_sd, std::span<float> logits);

 private:
  struct Pooled;
  struct HeadTensors {
    ConstView pooled_sd;
    View logits_sc;  // becomes its own gradient
    View dpooled_sd;
  };
  struct PoolGradients {
    ConstView dpooled_sd;
    View dhidden_td;
  };

  void run(const PackedBatch& batch, std::span<float> logits, std::span<float> pooled);
  Pooled pool(const PackedBatch& batch, ConstView hidden_td);
  void pool_backward(const PackedBatch& batch, ConstView hidden_td, const Pooled& pooled,
                     const PoolGradients& gradient);
  void apply_head(ConstView pooled_sd, View logits_sc);
  TrainStepResult loss_and_head_backward(std::span<const std::int32_t> labels, const TrainStepArgs& args,
                                         const HeadTensors& tensors);

  ClassifierConfig config_;
  Weights weights_;
  Encoder encoder_;
  Weights gradients_;
};

/// Of every pooling but attention.
ops::PoolKind pool_kind(Pooling pooling);

/// Softmax in double.
void class_probabilities(std::span<const float> logits, std::span<double> probabilities);

}  // namespace strandline
