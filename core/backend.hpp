// The seam between the model and the machine: one virtual call per operation per layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/ops/activation.hpp"
#include "core/ops/adamw.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/conv1d.hpp"
#include "core/ops/cross_entropy.hpp"
#include "core/ops/elementwise.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/grid_conv.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/norm.hpp"
#include "core/ops/operation_shape.hpp"
#include "core/ops/pool.hpp"
#include "core/ops/pseudo_inverse.hpp"
#include "core/ops/ssd_scan.hpp"
#include "core/tensor/memory.hpp"

namespace strandline {

/// What a card has beside the memory of the host.
struct DeviceMemory {
  std::int64_t total_bytes = 0;
  std::int64_t free_bytes = 0;  ///< what this back end may still take: free on the card, and within its own limit
  std::int64_t peak_bytes = 0;  ///< the most that it has held at one time
  std::int64_t step_bytes = 1;  ///< sizes of blocks are multiples of this
};

/// Implementations may assume that every argument passed the checks in core/ops. Call the free functions of core/ops,
/// never do_*. One thread at a time; two Backends are independent of each other.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;        ///< "ref", "cpu", "cuda:0"
  virtual DType dtype() const = 0;             ///< storage type of activations
  virtual DType accumulate_dtype() const = 0;  ///< type of weights, gradients, states, optimiser state, residual stream
  virtual Memory& memory() = 0;
  virtual void synchronize() = 0;  ///< returns when all enqueued work is done

  /// Absent for a back end that works in the memory of the host.
  virtual std::optional<DeviceMemory> device_memory() const { return std::nullopt; }
  /// Device bytes that a call of these sizes takes beside its tensors, at most; asked before the run, for its plan.
  virtual std::int64_t scratch_bytes(const ops::OperationShape&) const { return 0; }
  /// Takes so much scratch at once, so that no operation has to grow it.
  virtual void reserve_scratch(std::int64_t) {}

  virtual void do_linear(const ops::LinearArgs& args) = 0;
  virtual void do_linear_backward(const ops::LinearBackwardArgs& args) = 0;
  virtual void do_conv1d(const ops::Conv1dArgs& args) = 0;
  virtual void do_conv1d_backward(const ops::Conv1dBackwardArgs& args) = 0;
  virtual void do_ssd_scan(const ops::SsdScanArgs& args) = 0;
  virtual void do_ssd_scan_backward(const ops::SsdScanBackwardArgs& args) = 0;
  virtual void do_rms_norm(const ops::RmsNormArgs& args) = 0;
  virtual void do_rms_norm_backward(const ops::RmsNormBackwardArgs& args) = 0;
  virtual void do_gated_rms_norm(const ops::GatedRmsNormArgs& args) = 0;
  virtual void do_gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args) = 0;
  virtual void do_layer_norm(const ops::LayerNormArgs& args) = 0;
  virtual void do_layer_norm_backward(const ops::LayerNormBackwardArgs& args) = 0;
  virtual void do_activation(const ops::ActivationArgs& args) = 0;
  virtual void do_activation_backward(const ops::ActivationBackwardArgs& args) = 0;
  virtual void do_attention(const ops::AttentionArgs& args) = 0;
  virtual void do_attention_backward(const ops::AttentionBackwardArgs& args) = 0;
  virtual void do_softmax(const ops::SoftmaxArgs& args) = 0;
  virtual void do_softmax_backward(const ops::SoftmaxBackwardArgs& args) = 0;
  virtual void do_pseudo_inverse(const ops::PseudoInverseArgs& args) = 0;
  virtual void do_pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs& args) = 0;
  virtual void do_grid_conv(const ops::GridConvArgs& args) = 0;
  virtual void do_grid_conv_backward(const ops::GridConvBackwardArgs& args) = 0;
  virtual void do_embedding(const ops::EmbeddingArgs& args) = 0;
  virtual void do_embedding_backward(const ops::EmbeddingBackwardArgs& args) = 0;
  virtual void do_pool(const ops::PoolArgs& args) = 0;
  virtual void do_pool_piece(const ops::PoolPieceArgs& args) = 0;
  virtual void do_pool_backward(const ops::PoolBackwardArgs& args) = 0;
  virtual void do_attention_pool(const ops::AttentionPoolArgs& args) = 0;
  virtual void do_attention_pool_backward(const ops::AttentionPoolBackwardArgs& args) = 0;
  virtual void do_cross_entropy(const ops::CrossEntropyArgs& args) = 0;
  virtual void do_add(ConstView x, View y) = 0;
  virtual void do_multiply(ConstView x, View y) = 0;
  virtual void do_reverse_channels(ConstView x_td, View y_td) = 0;
  virtual void do_dropout(const ops::DropoutArgs& args) = 0;
  virtual void do_adamw(const ops::AdamwArgs& args) = 0;
  virtual double do_sum_of_squares(ConstView x) = 0;
};

}  // namespace strandline
