// An aggregator: projection of the patches, body, pooling, head. One prediction and one map per bag.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/backend.hpp"
#include "core/model/mil/attention_net.hpp"
#include "core/model/mil/mil_body.hpp"
#include "core/model/mil/mil_config.hpp"
#include "core/model/mil/mil_context.hpp"
#include "core/model/mil/mil_stem.hpp"
#include "core/model/weights.hpp"

namespace strandline {

struct MilOptions {
  /// Patches of a bag that go through a layer at once. Changes memory and speed, never a prediction.
  std::int64_t segment_patches = 16384;
};

/// Letters: C classes, N patches, D model width. Empty spans are not computed.
struct MilPrediction {
  std::span<float> logits{};  ///< C
  /// N, in the order of the bag, with the sum 1: what the pooling weighs each patch with. mean: 1 / N for all. max: the
  /// share of the D channels that the patch gives. trans_mil: what the class token pays, whose sum is near 1 and which
  /// may be negative.
  std::span<float> attention{};
  std::span<float> pooled{};  ///< D: the bag as one vector, in front of the head
};

/// loss = class_weight * ((1 - w) bag loss + w instance loss), w = instance_weight for clam_sb and 0 for others.
struct MilTrainArgs {
  std::int32_t label = 0;
  double class_weight = 1.0;
  double label_smoothing = 0.0;
  double scale = 1.0;     ///< of the gradients only: one over the bags of the optimiser step, say
  DropoutDraw dropout{};  ///< `draw` differs for every bag of a run
};

struct MilTrainResult {
  double loss = 0.0;
  double bag_loss = 0.0;       ///< cross entropy, without class_weight
  double instance_loss = 0.0;  ///< clam_sb, without class_weight
  bool correct = false;        ///< the largest logit is the label's
  std::vector<float> logits;
};

/// One thread at a time. The bits of a result depend on the weights and the bag alone, for any number of threads.
/// After the first pass over a bag of some size nothing is allocated from the back end's memory.
class MilModel {
 public:
  /// Weights start as zeros: call initialise(), or set them. @throws ContractError when `config` is not valid.
  MilModel(const MilConfig& config, Backend& backend, const MilOptions& options = {});
  MilModel(const MilModel&) = delete;
  MilModel& operator=(const MilModel&) = delete;
  ~MilModel();

  const MilConfig& config() const { return config_; }
  Backend& backend() const { return backend_; }
  Workspace& workspace() { return workspace_; }
  Weights& weights() { return weights_; }
  const Weights& weights() const { return weights_; }
  /// Made of zeros at first use.
  Weights& gradients();
  void zero_gradients() { gradients().zero(); }
  void initialise(std::uint64_t seed);

  /// @throws ContractError when the bag is empty or a size is wrong, naming both sizes.
  void predict(const BagView& bag, const MilPrediction& prediction);
  /// Forward and backward with dropout; adds to gradients(). The same errors.
  MilTrainResult train_step(const BagView& bag, const MilTrainArgs& args);

 private:
  struct Pooled;
  void check_bag(const BagView& bag) const;
  Pooled pool(ConstView tokens_md);
  View pool_backward(ConstView tokens_md, const Pooled& pooled, ConstView dpooled_1d);
  void apply_head(ConstView pooled_1d, View logits_1c) const;
  MilTrainResult bag_loss(const MilTrainArgs& args, double scale, View logits_1c);
  void write_attention(ConstView tokens_md, const Pooled& pooled, std::span<float> attention);
  std::vector<double> max_shares(ConstView tokens_md);

  MilConfig config_;
  Backend& backend_;
  Workspace workspace_;
  Weights weights_;
  Weights gradients_;
  MilContext context_;
  MilStem stem_;
  std::unique_ptr<MilBody> body_;
  AttentionNet attention_net_;
};

}  // namespace strandline
