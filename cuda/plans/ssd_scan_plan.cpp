#include "cuda/plans/ssd_scan_plan.hpp"

#include <algorithm>
#include <string>

#include "core/base/checked.hpp"

namespace strandline::cuda {
namespace {

constexpr int kSide = 16;  // of a tensor-core product

// `bytes(sizes)` is what the kernels of one direction ask for.
template <class Bytes>
ScanTileSizes longest_tile(const SsdScanShape& shape, std::int64_t shared_bytes, const Bytes& bytes) {
  for (const int tokens : {64, 32, 16}) {
    if (tokens > kSide && shape.chunk <= tokens / 2) continue;  // the rest of the tile would be empty
    const ScanTileSizes sizes{.tokens = tokens,
                              .slice = static_cast<int>(std::min<std::int64_t>(tokens, round_up(shape.width, kSide))),
                              .states = checked_cast<int>(round_up(shape.states, kSide)),
                              .element_bytes = static_cast<int>(shape.element_bytes)};
    if (bytes(sizes) <= shared_bytes) return sizes;
  }
  throw ContractError("ssd_scan: a state width of N = " + std::to_string(shape.states) + " needs more than the " +
                      std::to_string(shared_bytes) +
                      " bytes of shared memory that this card gives a block. Use --device cpu");
}

std::int64_t window(std::int64_t scratch_bytes, std::int64_t tile_bytes) {
  return std::max<std::int64_t>(1, scratch_bytes / tile_bytes);
}

}  // namespace

SsdScanPlan plan_ssd_scan(const SsdScanShape& shape, const SsdScanLimits& limits) {
  // Beyond 2^20 states no tile fits; the bound keeps the sums below within int.
  if (shape.states > (1 << 20)) {
    throw ContractError("ssd_scan: a state width of N = " + std::to_string(shape.states) +
                        " is more than a card can hold. Use --device cpu");
  }
  SsdScanPlan plan;
  plan.forward = longest_tile(shape, limits.shared_bytes, [](const ScanTileSizes& sizes) -> std::int64_t {
    return std::max(state_shared(sizes).total, output_shared(sizes).total);
  });
  plan.backward = longest_tile(shape, limits.shared_bytes, [](const ScanTileSizes& sizes) -> std::int64_t {
    return std::max(state_shared(sizes).total, gradient_shared(sizes).total);
  });
  const std::int64_t state_bytes = 4 * checked_product(shape.heads, checked_product(shape.width, shape.states));
  constexpr std::int64_t kTileRecord = 32;
  // Forward: steps as delta, high, low and a total; backward also the slope, two states, three sums in double.
  plan.forward_tile_bytes = state_bytes + shape.heads * (3 * plan.forward.tokens + 1) * 4 + kTileRecord;
  plan.backward_tile_bytes = 2 * state_bytes + shape.heads * ((4 * plan.backward.tokens + 1) * 4 + 3 * 8) + kTileRecord;
  // The backward has two states per tile: the same number of tiles each way. Longer windows are slower: the walk over
  // them ran at 2 TB/s beyond 2 GiB of states and at 3.5 TB/s below (docs/kernels/ssd_scan.md).
  plan.forward_window = window(limits.scratch_bytes / 2, plan.forward_tile_bytes);
  plan.backward_window = window(limits.scratch_bytes, plan.backward_tile_bytes);
  return plan;
}

std::vector<std::int64_t> tile_offsets(std::span<const std::int64_t> seq_begin, const TileGrid& grid) {
  std::vector<std::int64_t> offsets(seq_begin.size(), 0);
  for (std::size_t s = 1; s < seq_begin.size(); ++s) {
    offsets[s] = offsets[s - 1] + grid.count(seq_begin[s] - seq_begin[s - 1]);
  }
  return offsets;
}

}  // namespace strandline::cuda
