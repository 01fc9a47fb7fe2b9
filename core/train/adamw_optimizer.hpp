// AdamW over all weights of a model, with a guard that no number that is not finite reaches them.
#pragma once

#include <cstdint>

#include "core/model/weights.hpp"

namespace strandline {

class Backend;

struct AdamwOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< only for tensors whose spec says decay
  double max_norm = 1.0;       ///< clip the gradient's global norm; 0: no clipping
};

struct OptimizerStepArgs {
  const Weights& gradients;
  double learning_rate = 0.0;
  double loss = 0.0;        ///< of this step; only tested for being finite
  std::int64_t update = 1;  ///< TrainerState::updates() + 1
};

struct OptimizerStepResult {
  bool applied = false;        ///< false: loss or norm is not finite, weights and moments are as before, bit for bit
  double gradient_norm = 0.0;  ///< before clipping
};

class AdamwOptimizer {
 public:
  /// `weights` must outlive the optimiser. Moments start as zeros. @throws ContractError naming the option.
  AdamwOptimizer(const AdamwOptions& options, Backend& backend, Weights& weights);

  OptimizerStepResult step(const OptimizerStepArgs& args);

  const AdamwOptions& options() const { return options_; }
  /// Same layout and names as the weights; for checkpoints.
  Weights& first_moment() { return first_moment_; }
  Weights& second_moment() { return second_moment_; }

 private:
  /// A range of the flat weights that is treated alike.
  struct Group {
    std::int64_t begin;
    std::int64_t end;
    double weight_decay;
    double grad_scale;
  };
  void update(const OptimizerStepArgs& args, const Group& group);

  AdamwOptions options_;
  Backend& backend_;
  Weights& weights_;
  Weights first_moment_;
  Weights second_moment_;
};

}  // namespace strandline
