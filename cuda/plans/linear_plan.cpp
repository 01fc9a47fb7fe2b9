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

// Offsets inside one library call stay below 2^31 elements, so that no kernel in it can wrap around; a piece of 2^12
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

// Enough ranges for about 512 output tiles of 128 x 128, four for every multiprocessor of a large card. Longer ones
// cost less traffic for partial sums; but a tensor core rounds its running sum towards zero, so a range ends after 2^14
// tokens unless the partial sums would take too much room.
std::int64_t plan_gradient_range(const WeightGradientShape& shape) {
  constexpr std::int64_t kTile = 128;
  constexpr std::int64_t kTilesWanted = 512;
  constexpr std::int64_t kLongest = std::int64_t{1} << 14;
  const std::int64_t tiles = std::max<std::int64_t>(1, ceil_div(shape.outputs, kTile) * ceil_div(shape.inputs, kTile));
  const std::int64_t wanted = ceil_div(kTilesWanted, tiles);
  const std::int64_t most =
      std::max<std::int64_t>(1, kPartialBytes / std::max<std::int64_t>(1, 4 * shape.outputs * shape.inputs));
  std::int64_t range = shape.least_range;
  while (range < shape.tokens &&
         ((range < kLongest && shape.tokens / (2 * range) >= wanted) || ceil_div(shape.tokens, range) > most)) {
    range *= 2;
  }
  return range;
}

}  // namespace strandline::cuda
