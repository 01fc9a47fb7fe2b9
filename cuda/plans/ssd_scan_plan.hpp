// How the scan goes over the card: tile length, shared memory, and how many tiles have their states in scratch at once.
// Pure host code, tested without a GPU; the offsets are constexpr so that kernels use the very same numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strandline::cuda {

/// Sizes of one call of the scan.
struct SsdScanShape {
  std::int64_t heads = 1;
  std::int64_t width = 1;  ///< P
  std::int64_t groups = 1;
  std::int64_t states = 1;  ///< N
  std::int64_t chunk = 64;
  std::int64_t element_bytes = 4;  ///< of x, B, C: 4 in fp32, 2 in bf16
};

/// Sizes of the matrices that a block holds in shared memory: a tile is `tokens` tokens; P goes through in slices of at
/// most as many columns. Everything is a multiple of 16, the side of a tensor-core product, and filled up with zeros.
///
/// Rows are padded against bank conflicts: operands by one element where single words are read and by 16 bytes where
/// tensor cores take them, sums by 8 words, which spreads the four rows that half a warp writes over all banks.
struct ScanTileSizes {
  int tokens = 64;
  int slice = 64;  ///< columns of P at a time
  int states = 128;
  int element_bytes = 4;

  bool operator==(const ScanTileSizes&) const = default;
};

/// The same with sizes that the compiler knows: loops unroll and divisions go.
template <int kSlice, int kStates>
struct FixedTileSizes {
  static constexpr int tokens = 64;
  static constexpr int slice = kSlice;
  static constexpr int states = kStates;
  static constexpr int element_bytes = 2;

  constexpr operator ScanTileSizes() const { return {tokens, slice, states, element_bytes}; }
};

template <class Sizes>
constexpr int operand_stride(const Sizes& sizes, int columns) {
  return columns + (sizes.element_bytes == 4 ? 1 : 8);
}
constexpr int sum_stride(int columns) { return columns + 8; }

constexpr int align_shared(int bytes) { return (bytes + 127) / 128 * 128; }
template <class Sizes>
constexpr int operand_bytes(const Sizes& sizes, int rows, int columns) {
  return align_shared(rows * operand_stride(sizes, columns) * sizes.element_bytes);
}
constexpr int sum_bytes(int rows, int columns) { return align_shared(rows * sum_stride(columns) * 4); }

/// Byte offsets into shared memory of the kernel that makes a tile's own share of the state. Factors: of this head and
/// of the next.
struct StateShared {
  int b, x, sums, factors, total;
};
template <class Sizes>
constexpr StateShared state_shared(const Sizes& sizes) {
  StateShared at{};
  at.b = 0;
  at.x = at.b + operand_bytes(sizes, sizes.tokens, sizes.states);
  at.sums = at.x + operand_bytes(sizes, sizes.tokens, sizes.slice);
  at.factors = at.sums + sum_bytes(sizes.slice, sizes.states);
  at.total = at.factors + align_shared(2 * sizes.tokens * 4);
  return at;
}

/// The same for the kernel that writes y. B is needed only until the scores are there: the state takes its place.
struct OutputShared {
  int c, b_then_state, scores, weighted, x, sums, factors, total;
};
template <class Sizes>
constexpr OutputShared output_shared(const Sizes& sizes) {
  OutputShared at{};
  at.c = 0;
  at.b_then_state = at.c + operand_bytes(sizes, sizes.tokens, sizes.states);
  at.scores = at.b_then_state + operand_bytes(sizes, sizes.tokens, sizes.states);
  at.weighted = at.scores + sum_bytes(sizes.tokens, sizes.tokens);
  at.x = at.weighted + operand_bytes(sizes, sizes.tokens, sizes.tokens);
  at.sums = at.x + operand_bytes(sizes, sizes.tokens, sizes.slice);
  at.factors = at.sums + sum_bytes(sizes.tokens, sizes.slice);
  at.total = at.factors + align_shared(8 * sizes.tokens * 4);
  return at;
}

/// The same for the gradient. `sums` holds products over N; before that, products over tokens.
struct GradientShared {
  int c, b, scores, dscores, x, dy, weighted, state, sums, dc, db, vectors, total;
};
inline constexpr int kGradientVectors = 12;
template <class Sizes>
constexpr GradientShared gradient_shared(const Sizes& sizes) {
  GradientShared at{};
  at.c = 0;
  at.b = at.c + operand_bytes(sizes, sizes.tokens, sizes.states);
  at.scores = at.b + operand_bytes(sizes, sizes.tokens, sizes.states);
  at.dscores = at.scores + sum_bytes(sizes.tokens, sizes.tokens);
  at.x = at.dscores + sum_bytes(sizes.tokens, sizes.tokens);
  at.dy = at.x + operand_bytes(sizes, sizes.tokens, sizes.slice);
  at.weighted = at.dy + operand_bytes(sizes, sizes.tokens, sizes.slice);
  at.state = at.weighted + operand_bytes(sizes, sizes.tokens, sizes.tokens);
  at.sums = at.state + operand_bytes(sizes, sizes.slice, sizes.states);
  const int wider = sizes.states > sizes.tokens ? sizes.states : sizes.tokens;
  at.dc = at.sums + sum_bytes(sizes.tokens, wider);
  at.db = at.dc + sum_bytes(sizes.tokens, sizes.states);
  at.vectors = at.db + sum_bytes(sizes.tokens, sizes.states);
  at.total = at.vectors + align_shared(kGradientVectors * sizes.tokens * 4);
  return at;
}

/// Tiles of a chunk: they are counted from the chunk's start, so that a cut at a multiple of the chunk is a cut between
/// tiles.
struct TileGrid {
  std::int64_t chunk = 64;
  std::int64_t tokens = 64;

  constexpr std::int64_t per_chunk() const { return (chunk + tokens - 1) / tokens; }
  /// Tiles of a sequence of `length` tokens.
  constexpr std::int64_t count(std::int64_t length) const {
    return length / chunk * per_chunk() + (length % chunk + tokens - 1) / tokens;
  }
  /// Place of a tile's first token in its sequence, in scan order.
  constexpr std::int64_t place(std::int64_t tile) const {
    return tile / per_chunk() * chunk + tile % per_chunk() * tokens;
  }
  /// Its tokens, in a sequence of `length`.
  constexpr std::int64_t tokens_of(std::int64_t tile, std::int64_t length) const {
    const std::int64_t in_chunk = chunk - tile % per_chunk() * tokens;
    const std::int64_t in_sequence = length - place(tile);
    const std::int64_t shorter = in_chunk < in_sequence ? in_chunk : in_sequence;
    return shorter < tokens ? shorter : tokens;
  }
};

struct SsdScanPlan {
  ScanTileSizes forward;
  ScanTileSizes backward;
  /// Tiles whose states are in scratch at one time. More tokens than that go through window by window with the state
  /// carried, to the same bits.
  std::int64_t forward_window = 0;
  std::int64_t backward_window = 0;
  std::int64_t forward_tile_bytes = 0;  ///< scratch per tile of a window
  std::int64_t backward_tile_bytes = 0;
};

/// What the plan may use.
struct SsdScanLimits {
  std::int64_t shared_bytes = 227 * 1024;              ///< of one block
  std::int64_t scratch_bytes = std::int64_t{4} << 30;  ///< for the states of a window
};

/// The longest tiles whose matrices fit in shared memory. @throws ContractError naming N when none does.
SsdScanPlan plan_ssd_scan(const SsdScanShape& shape, const SsdScanLimits& limits);

/// Tiles before each sequence: S + 1 numbers, the last is the number of tiles of the pack.
std::vector<std::int64_t> tile_offsets(std::span<const std::int64_t> seq_begin, const TileGrid& grid);

}  // namespace strandline::cuda
