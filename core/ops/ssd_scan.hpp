// Contract of the Mamba-2 scan (state space duality). Truth: core/ref/ssd_scan_ref.hpp. Fast: core/cpu, cuda/ops.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "core/tensor/view.hpp"

namespace strandline {
class Backend;
}

namespace strandline::ops {

/// Step sizes become positive by delta = clamp(softplus(dt + dt_bias), min, max); softplus only when asked for.
/// A clamped step has zero gradient.
struct StepSize {
  bool softplus = true;
  double min = 0.0;
  double max = std::numeric_limits<double>::infinity();
};

/// Letters: T tokens in the pack, S sequences, H heads, P head width, G groups, N state width. Head h reads group
/// h / (H / G); G divides H. The last axis of every tensor is dense; token rows may be strided.
/// For each sequence on its own, in scan order (ascending tokens, or descending within the sequence when `reverse`),
/// with delta = StepSize applied to dt + dt_bias and a = -exp(a_log):
///
///     state_t = exp(delta_t * a) * state_{t-1}  +  delta_t * x_t (outer) b_t        state is (P, N) per head
///     y_t     = state_t * c_t                   +  d * x_t
///
/// y must not overlap an input. Empty packs and empty sequences are legal; an empty sequence's final state is its
/// initial state. States are in the back end's accumulation type (fp32; fp64 in the reference).
struct SsdScanArgs {
  ConstView x_thp;
  ConstView dt_th;
  ConstView a_log_h;
  ConstView b_tgn;
  ConstView c_tgn;
  ConstView d_h{};        ///< absent: no skip term
  ConstView dt_bias_h{};  ///< absent: zero
  StepSize step{};
  std::span<const std::int64_t> seq_begin;  ///< S + 1 ascending offsets into T: first 0, last T (host memory)
  bool reverse = false;
  std::int64_t chunk = 64;  ///< tokens per chunk of the chunked form, counted from each sequence's start in scan order
  ConstView initial_state_shpn{};  ///< absent: zeros
  View final_state_shpn{};         ///< absent: not wanted
  View y_thp;
};

/// Gradients of SsdScanArgs given dy (and, if present, the gradient of final_state). `forward.y_thp` and
/// `forward.final_state_shpn` are not read. dx, ddt, db, dc and dinitial_state are overwritten; da_log, dd and ddt_bias
/// are added to. ddt is the gradient of the raw dt. Absent outputs are not computed.
struct SsdScanBackwardArgs {
  SsdScanArgs forward;
  ConstView dy_thp;
  ConstView dfinal_state_shpn{};
  View dx_thp{};
  View ddt_th{};
  View da_log_h{};
  View db_tgn{};
  View dc_tgn{};
  View dd_h{};
  View ddt_bias_h{};
  View dinitial_state_shpn{};
};

/// A sequence's bits do not depend on what else is in the pack. No finite number reaches an earlier token; a NaN or an
/// infinity may reach earlier ones of its chunk, as zero times it is not zero. Splitting a sequence into pieces with
/// carried state gives the same bits when the cuts (in scan order) are multiples of `chunk`, and agrees within rounding
/// otherwise. Enqueued on the back end's stream. Same input, same back end, same chunk: same bits. Cost per token and
/// head: recurrent 5 P N flop; chunked about 4 P N + chunk * (P + N G / H) flop.
/// @throws ContractError naming the tensor and both shapes, before any work.
/// Source: Dao and Gu, "Transformers are SSMs", ICML 2024 (arXiv 2405.21060), sections 3, 6 and listing 1.
void ssd_scan(Backend& backend, const SsdScanArgs& args);
void ssd_scan_backward(Backend& backend, const SsdScanBackwardArgs& args);

}  // namespace strandline::ops
