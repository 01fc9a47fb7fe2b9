// What a run will take in memory, known before it starts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/backend.hpp"
#include "core/model/config.hpp"
#include "core/model/encoder.hpp"

namespace strandline {

/// A pack, as far as its memory goes.
struct BatchShape {
  std::int64_t tokens = 0;
  std::int64_t sequences = 1;
  std::int64_t longest = 0;  ///< tokens of the longest sequence; 0: one sequence is all of it
};

/// What the model will be computed on.
struct PlanTarget {
  DType dtype = DType::f32;     ///< of activations
  bool on_card = false;         ///< with memory of its own, beside the host's
  std::int64_t step_bytes = 1;  ///< as in DeviceMemory
  std::function<std::int64_t(const ops::OperationShape&)> scratch_bytes{};
};

/// `backend` must outlive the target.
PlanTarget plan_target(const Backend& backend);

struct MemoryUse {
  std::int64_t device_bytes = 0;     ///< where the model is computed: weights, workspace, scratch and, in training,
                                     ///< gradients and moments
  std::int64_t workspace_bytes = 0;  ///< of these, for Workspace::reserve
  std::int64_t scratch_bytes = 0;    ///< of these, for Backend::reserve_scratch
  std::int64_t host_bytes = 0;       ///< beside them: the program, batches that wait, copies of weights
};

/// The larger of each.
MemoryUse larger(const MemoryUse& a, const MemoryUse& b);

/// Runs the model's own code on a back end that counts (core/model/dry_backend.hpp), so that plan and run cannot
/// disagree on a tensor. A sequence of many pieces is extrapolated from shorter ones: what it takes is linear in them.
class MemoryPlan {
 public:
  MemoryPlan(const ClassifierConfig& config, const EncoderOptions& options, PlanTarget target = {});

  /// Of any pack within the shape: not more tokens, sequences, nor a longer one.
  MemoryUse inference(const BatchShape& batch) const;
  MemoryUse training(const BatchShape& batch) const;
  /// What a limit on memory limits: the card's bytes, or all of them when there is no card.
  std::int64_t limited_bytes(const MemoryUse& use) const;

  /// limited_bytes of inference on one sequence.
  std::int64_t bytes(std::int64_t tokens) const;
  /// Longest sequence that fits in `limit_bytes`; 0 when none does.
  std::int64_t max_tokens(std::int64_t limit_bytes) const;

 private:
  struct Counted {
    std::int64_t fixed_bytes = 0;
    std::int64_t workspace_bytes = 0;
    std::int64_t scratch_bytes = 0;
  };
  Counted count(const BatchShape& batch, bool is_training) const { return count_with(options_, batch, is_training); }
  Counted count_with(const EncoderOptions& options, const BatchShape& batch, bool is_training) const;
  Counted count_any_length(const BatchShape& batch, bool is_training) const;
  MemoryUse use_of(const Counted& counted, std::int64_t host_bytes) const;

  ClassifierConfig config_;
  EncoderOptions options_;
  PlanTarget target_;
};

/// "3.2 GiB", "17 MiB", "512 bytes"
std::string format_bytes(std::int64_t bytes);

}  // namespace strandline
