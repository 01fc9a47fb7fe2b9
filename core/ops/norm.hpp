// Contracts of RMSNorm and gated RMSNorm. Truth: core/ref/norm_ref.hpp.
#pragma once

#include <cstdint>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Letters: T tokens, D channels.
///
///     y[t, d] = weight[d] * x[t, d] / sqrt(mean_d(x[t, d]^2) + eps)
///
/// The last axis of every tensor is dense. y may be x itself.
/// Source: Zhang and Sennrich 2019 (arXiv 1910.07467).
struct RmsNormArgs {
  ConstView x_td;
  ConstView weight_d;
  double eps = 1e-5;
  View y_td;
};

/// dx is overwritten, or added to when `accumulate_dx` (the residual path); dweight is added to.
struct RmsNormBackwardArgs {
  ConstView x_td;
  ConstView weight_d;
  double eps = 1e-5;
  ConstView dy_td;
  View dx_td{};
  bool accumulate_dx = false;
  View dweight_d{};
};

enum class GateOrder : std::uint8_t {
  gate_then_norm,  ///< y = norm(x * silu(z)) * weight       (Mamba-2's default)
  norm_then_gate,  ///< y = norm(x) * weight * silu(z)
};

/// RMSNorm over each of `groups` equal parts of the channels, with a gate z: silu(z) = z * sigmoid(z).
/// y may be x itself; it must not overlap z.
/// Source: Dao and Gu 2024 (arXiv 2405.21060), section 7.2.
struct GatedRmsNormArgs {
  ConstView x_td;
  ConstView z_td;
  ConstView weight_d;
  std::int64_t groups = 1;
  GateOrder order = GateOrder::gate_then_norm;
  double eps = 1e-5;
  View y_td;
};

/// dx and dz are overwritten; dweight is added to. Absent outputs are not computed.
struct GatedRmsNormBackwardArgs {
  ConstView x_td;
  ConstView z_td;
  ConstView weight_d;
  std::int64_t groups = 1;
  GateOrder order = GateOrder::gate_then_norm;
  double eps = 1e-5;
  ConstView dy_td;
  View dx_td{};
  View dz_td{};
  View dweight_d{};
};

/// Sums over a row are in one fixed order, so that a row's bits depend on that row alone.
/// Enqueued on the back end's stream. Same input, same back end: same bits.
/// @throws ContractError naming the tensor and both shapes, before any work.
void rms_norm(Backend& backend, const RmsNormArgs& args);
void rms_norm_backward(Backend& backend, const RmsNormBackwardArgs& args);
void gated_rms_norm(Backend& backend, const GatedRmsNormArgs& args);
void gated_rms_norm_backward(Backend& backend, const GatedRmsNormBackwardArgs& args);

}  // namespace strandline::ops
