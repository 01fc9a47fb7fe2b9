#include "cuda/plans/linear_plan.hpp"

#include <algorithm>

#include "core/base/checked.hpp"

namespace strandline::cuda {
namespace {

constexpr std::int64_t kVectorBytes = 16;
constexpr std::int64_t kNarrowest = 16;  // elements: below, a tile is mostly padding

struct Access {
  const void* data;
  DType dtype;
  std::int64_t stride;
};

bool is_aligned(const Access& access) {
  const auto element_bytes = static_cast<std::int64_t>(size_of(access.dtype));
  return reinterpret_cast<std::uintptr_t>(access.data) % kVectorBytes == 0 &&
         access.stride * element_bytes % kVectorBytes == 0;
}

}  // namespace

bool blas_takes(const Product& product) {
  const std::int64_t unit = kVectorBytes / static_cast<std::int64_t>(size_of(product.a.dtype));
  const auto fits = [unit](std::int64_t dense) { return dense >= kNarrowest && dense % unit == 0; };
  return product.a.dtype == product.b.dtype &&                                  //
         fits(product.a.depth_is_dense ? product.depth : product.rows) &&       //
         fits(product.b.depth_is_dense ? product.depth : product.columns) &&    //
         fits(product.columns) &&                                               //
         is_aligned({product.a.data, product.a.dtype, product.a.stride}) &&     //
         is_aligned({product.b.data, product.b.dtype, product.b.stride}) &&     //
         is_aligned({product.y, product.y_dtype, product.y_stride}) &&          //
         reinterpret_cast<std::uintptr_t>(product.bias) % kVectorBytes == 0 &&  //
         std::max({product.a.stride, product.b.stride, product.y_stride}) <= (std::int64_t{1} << 30) / kSmallestPiece;
}

// Offsets inside one library call stay below 2^31 elements, so that no kernel in it can wrap around; a piece of 2^11
// tokens or more fills the card, so cutting costs nothing that could be measured.
std::int64_t plan_piece_tokens(const PieceShape& shape) {
  std::int64_t tokens = kLargestPiece;
  while (tokens > kSmallestPiece &&
         (tokens > ((std::int64_t{1} << 31) - 1) / std::max<std::int64_t>(1, shape.widest_stride) ||
          tokens * 2 > kConvertedBytes / std::max<std::int64_t>(1, shape.converted_width))) {
    tokens /= 2;
  }
  return tokens;
}

namespace {

constexpr std::int64_t kTile = 128;
constexpr std::int64_t kTilesWanted = 512;
constexpr std::int64_t kLongestRange = std::int64_t{1} << 14;

std::int64_t ranges_wanted(const WeightGradientShape& shape) {
  const std::int64_t tiles = ceil_div(shape.outputs, kTile) * ceil_div(shape.inputs, kTile);
  return ceil_div(kTilesWanted, std::max<std::int64_t>(1, tiles));
}

std::int64_t ranges_allowed(const WeightGradientShape& shape) {
  const std::int64_t partial_bytes = std::max<std::int64_t>(1, checked_product(4 * shape.outputs, shape.inputs));
  return std::max<std::int64_t>(1, kPartialBytes / partial_bytes);
}

}  // namespace

// Enough ranges for about 512 output tiles of 128 x 128, four for every multiprocessor of a large card. Longer ones
// cost less traffic for partial sums; but a tensor core rounds its running sum towards zero, so a range ends after 2^14
// tokens unless the partial sums would take too much room.
std::int64_t plan_gradient_range(const WeightGradientShape& shape) {
  const std::int64_t wanted = ranges_wanted(shape);
  const std::int64_t most = ranges_allowed(shape);
  std::int64_t range = shape.least_range;
  while (range < shape.tokens &&
         ((range < kLongestRange && shape.tokens / (2 * range) >= wanted) || ceil_div(shape.tokens, range) > most)) {
    range *= 2;
  }
  return range;
}

namespace {

constexpr std::int64_t kTakeStep = 64;  // what Workspace::take rounds up to

std::int64_t bf16_bytes(std::int64_t rows, std::int64_t columns) {
  return round_up(checked_product(2 * rows, round_up(std::max<std::int64_t>(1, columns), 8)), kTakeStep);
}

/// Tokens of one piece whose activations are rounded, with dense rows.
std::int64_t rounded_tokens(const ops::OperationShape& shape, std::int64_t width) {
  const std::int64_t widest = std::max(shape.inputs, shape.channels);
  return std::min(shape.tokens, plan_piece_tokens({.widest_stride = widest, .converted_width = width}));
}

/// Where plan_gradient_range stops, tokens / range is below 2 * (wanted + 1), or the range is one of the longest, or
/// there are as many as may be. cuBLASLt's whole ranges and the rest are cut each for itself.
std::int64_t partial_sum_bytes(const WeightGradientShape& shape) {
  const std::int64_t tokens = std::min(shape.tokens, kLargestPiece);
  const std::int64_t most = std::max(2 * ranges_wanted(shape) + 2, ceil_div(tokens, kLongestRange));
  const std::int64_t ranges = std::min({ceil_div(tokens, kOwnRange), most, ranges_allowed(shape)});
  return round_up(2 * std::max<std::int64_t>(1, ranges) * 4 * shape.outputs * shape.inputs, kTakeStep);
}

std::int64_t column_sum_bytes(std::int64_t tokens, std::int64_t columns) {
  std::int64_t bytes = 0;
  for (std::int64_t rows = ceil_div(tokens, kColumnSumRows); rows > 1; rows = ceil_div(rows, kColumnSumRows)) {
    bytes += round_up(4 * rows * columns, kTakeStep);
  }
  return bytes;
}

}  // namespace

std::int64_t linear_scratch_bytes(const ops::OperationShape& shape, DType dtype) {
  const bool backward = shape.kind == ops::OperationKind::linear_backward;
  if (!backward && shape.kind != ops::OperationKind::linear) return 0;
  std::int64_t bytes = kBlasWorkspaceBytes;
  std::int64_t rounded = 0;
  if (dtype == DType::bf16) {
    bytes += bf16_bytes(shape.channels, shape.inputs);
    rounded = bf16_bytes(rounded_tokens(shape, shape.inputs), shape.inputs);
  }
  if (!backward) return bytes + rounded;
  if (dtype == DType::bf16) {  // of dy and x, at most one is fp32 where the other is not
    rounded = std::max(rounded, bf16_bytes(rounded_tokens(shape, shape.channels), shape.channels));
  }
  bytes += partial_sum_bytes({shape.tokens, shape.channels, shape.inputs, kOwnRange});
  return std::max(bytes + rounded, bytes + column_sum_bytes(shape.tokens, shape.channels));
}

}  // namespace strandline::cuda
