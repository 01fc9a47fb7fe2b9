#include "cuda/plans/scratch_plan.hpp"

#include <algorithm>

#include "core/base/checked.hpp"
#include "core/ops/pool.hpp"
#include "cuda/plans/conv1d_plan.hpp"
#include "cuda/plans/linear_plan.hpp"
#include "cuda/plans/row_ranges.hpp"
#include "cuda/plans/ssd_scan_plan.hpp"

namespace strandline::cuda {
namespace {

using ops::OperationKind;
using ops::OperationShape;

constexpr std::int64_t kFloat = 4;
constexpr std::int64_t kDouble = 8;
constexpr std::int64_t kPoolSlot = 2048;  // tokens: slots of a pool's partial results, kernels/pieces.cuh
constexpr std::int64_t kEmbeddingBytes = std::int64_t{64} << 20U;  // of partial tables
constexpr std::int64_t kSmall = std::int64_t{1} << 20U;            // rounding of each tensor, and a few numbers

std::int64_t scan_bytes(const OperationShape& shape, DType dtype, const SsdScanLimits& limits) {
  const bool backward = shape.kind == OperationKind::ssd_scan_backward;
  const SsdScanPlan plan = plan_ssd_scan({.heads = shape.heads,
                                          .width = shape.headdim,
                                          .groups = shape.groups,
                                          .states = shape.d_state,
                                          .chunk = shape.chunk,
                                          .element_bytes = static_cast<std::int64_t>(size_of(dtype))},
                                         limits);
  const ScanTileSizes& sizes = backward ? plan.backward : plan.forward;
  const std::int64_t window = backward ? plan.backward_window : plan.forward_window;
  // A tile ends where it is full, where its chunk ends or where its sequence does.
  const std::int64_t tiles =
      shape.tokens / std::min<std::int64_t>(sizes.tokens, shape.chunk) + shape.tokens / shape.chunk + shape.sequences;
  const std::int64_t windows = ceil_div(tiles, window);
  const std::int64_t carried = windows > 1 ? (backward ? windows : 0) + 2 : 0;
  const std::int64_t state_bytes = kFloat * checked_product(shape.heads, checked_product(shape.headdim, shape.d_state));
  return std::min(tiles, window) * (backward ? plan.backward_tile_bytes : plan.forward_tile_bytes) +
         carried * state_bytes;
}

std::int64_t channel_sums(const OperationShape& shape) {
  return plan_row_ranges(shape.tokens).count * shape.channels * kFloat;
}

std::int64_t pieces_of(const OperationShape& shape) { return shape.tokens / kPoolSlot + shape.sequences; }

}  // namespace

std::int64_t scratch_bytes(const OperationShape& shape, DType dtype, const SsdScanLimits& limits) {
  switch (shape.kind) {
    case OperationKind::linear:
    case OperationKind::linear_backward: return linear_scratch_bytes(shape, dtype) + kSmall;
    case OperationKind::ssd_scan:
    case OperationKind::ssd_scan_backward: return scan_bytes(shape, dtype, limits) + kSmall;
    case OperationKind::conv1d_backward:
      return plan_conv1d_backward(shape.tokens, shape.channels).runs * shape.channels * (shape.taps + 1) * kFloat +
             kSmall;
    case OperationKind::rms_norm_backward:
    case OperationKind::gated_rms_norm_backward: return channel_sums(shape) + kSmall;
    case OperationKind::embedding_backward:
      return std::max(kEmbeddingBytes, shape.inputs * shape.channels * kFloat) + kSmall;
    case OperationKind::pool:
    case OperationKind::pool_backward:
      return (pieces_of(shape) + ops::kPoolStateRows) * 2 * shape.channels * kDouble + kSmall;
    case OperationKind::attention_pool:
    case OperationKind::attention_pool_backward:
      return pieces_of(shape) * 2 * (shape.channels + 2) * kDouble + shape.tokens * kFloat + kSmall;
    default: return kSmall;
  }
}

}  // namespace strandline::cuda
