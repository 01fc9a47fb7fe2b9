// How the matrix products of the linear map are cut and who computes them. Pure: nothing here touches the card.
#pragma once

#include <cstdint>

#include "core/ops/operation_shape.hpp"
#include "cuda/base/product.hpp"

namespace strandline::cuda {

/// Whether cuBLASLt's tensor-core paths can read and write these tensors: all three 16-byte aligned in address and row
/// stride, and no dense axis narrow or cut inside 16 bytes. It depends on nothing that changes with the number of rows
/// or with a row's place: when a row stride is a multiple of 16 bytes, every slice of rows is aligned as the whole is.
bool blas_takes(const Product& product);

/// Tokens that one product takes at once. Row results do not depend on it.
struct PieceShape {
  std::int64_t widest_stride = 0;    ///< elements, over all tensors of the product
  std::int64_t converted_width = 0;  ///< columns that are rounded to bf16 in scratch, 0: none
};
std::int64_t plan_piece_tokens(const PieceShape& shape);

/// A weight gradient sums over tokens, and has few output tiles: the tokens are cut into ranges, each with a partial
/// sum of its own in scratch, which are then added up in order.
struct WeightGradientShape {
  std::int64_t tokens = 0;
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
  std::int64_t least_range = 0;  ///< a power of two
};
/// A power of two >= least_range, a function of the shape alone (the bits of the gradient depend on it).
std::int64_t plan_gradient_range(const WeightGradientShape& shape);

/// The most scratch that one call takes (kinds linear and linear_backward), with activations of `dtype` or, in a back
/// end of bf16, also of fp32. 0 for other kinds.
std::int64_t linear_scratch_bytes(const ops::OperationShape& shape, DType dtype);

/// Bounds of what the plan asks for.
inline constexpr std::int64_t kLargestPiece = std::int64_t{1} << 18;
inline constexpr std::int64_t kSmallestPiece = std::int64_t{1} << 11;
inline constexpr std::int64_t kConvertedBytes = std::int64_t{64} << 20;
inline constexpr std::int64_t kPartialBytes = std::int64_t{128} << 20;
inline constexpr std::int64_t kColumnSumRows = 1024;  ///< rows of dy that one block adds up for a bias
inline constexpr std::int64_t kBlasRange = 1024;      ///< shorter ranges of tokens do not pay cuBLASLt's launch
inline constexpr std::int64_t kOwnRange = 256;

}  // namespace strandline::cuda
