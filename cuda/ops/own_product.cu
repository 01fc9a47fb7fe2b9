#include "cuda/ops/own_product.hpp"

#include "core/base/error.hpp"
#include "cuda/base/check.hpp"
#include "cuda/kernels/fma_product.cuh"
#include "cuda/kernels/mma_product.cuh"

namespace strandline::cuda {
namespace {

bool divides(std::int64_t bytes, const void* data, std::int64_t row_bytes) {
  return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(bytes) == 0 && row_bytes % bytes == 0;
}

struct Grid {
  unsigned row_tiles;
  unsigned column_tiles;
  unsigned blocks;
};

Grid grid_of(const Product& product, std::int64_t tile) {
  const std::int64_t row_tiles = ceil_div(product.rows, tile);
  const std::int64_t column_tiles = ceil_div(product.columns, tile);
  const std::int64_t blocks = checked_product(checked_product(row_tiles, column_tiles), product.ranges());
  return {static_cast<unsigned>(row_tiles), static_cast<unsigned>(column_tiles), checked_grid(blocks, "linear")};
}

mma::Source mma_source(const Operand& operand, std::int64_t rows) {
  const std::int64_t row_bytes = 2 * operand.stride;
  const int load_bytes = divides(16, operand.data, row_bytes) ? 16 : divides(4, operand.data, row_bytes) ? 4 : 2;
  return {static_cast<const bf16*>(operand.data), operand.stride, rows, load_bytes};
}

template <class Y, bool kADense, bool kBDense>
void launch_mma(cudaStream_t stream, const Product& product) {
  const Grid grid = grid_of(product, mma::kTile);
  constexpr std::int64_t kPair = 2 * sizeof(Y);
  const bool by_pairs = divides(kPair, product.y, product.y_stride * static_cast<std::int64_t>(sizeof(Y))) &&
                        product.y_range_stride % 2 == 0;
  const mma::Job<Y> job{.a = mma_source(product.a, product.rows),
                        .b = mma_source(product.b, product.columns),
                        .y = {.data = static_cast<Y*>(product.y),
                              .stride = product.y_stride,
                              .range_stride = product.y_range_stride,
                              .bias = product.bias,
                              .accumulate = product.accumulate,
                              .by_pairs = by_pairs},
                        .depth = product.depth,
                        .range = product.range_depth(),
                        .row_tiles = grid.row_tiles,
                        .column_tiles = grid.column_tiles};
  mma::product_kernel<Y, kADense, kBDense><<<grid.blocks, mma::kThreads, 0, stream>>>(job);
  check_launch("linear (bf16)");
}

template <bool kADense, bool kBDense>
void launch_fma(cudaStream_t stream, const Product& product) {
  const Grid grid = grid_of(product, fma::kTile);
  const fma::Job job{.a = {static_cast<const float*>(product.a.data), product.a.stride, product.rows},
                     .b = {static_cast<const float*>(product.b.data), product.b.stride, product.columns},
                     .y = static_cast<float*>(product.y),
                     .y_stride = product.y_stride,
                     .y_range_stride = product.y_range_stride,
                     .bias = product.bias,
                     .accumulate = product.accumulate,
                     .depth = product.depth,
                     .range = product.range_depth(),
                     .row_tiles = grid.row_tiles,
                     .column_tiles = grid.column_tiles};
  fma::product_kernel<kADense, kBDense><<<grid.blocks, fma::kThreads, 0, stream>>>(job);
  check_launch("linear (fp32)");
}

template <bool kADense, bool kBDense>
void launch(cudaStream_t stream, const Product& product) {
  if (product.a.dtype == DType::f32 && product.y_dtype == DType::f32)
    return launch_fma<kADense, kBDense>(stream, product);
  if (product.a.dtype == DType::bf16 && product.y_dtype == DType::f32) {
    return launch_mma<float, kADense, kBDense>(stream, product);
  }
  if constexpr (kADense) {
    if (product.a.dtype == DType::bf16) return launch_mma<bf16, kADense, kBDense>(stream, product);
  }
  throw ContractError("linear: no kernel for these element types");
}

}  // namespace

void own_product(cudaStream_t stream, const Product& product) {
  if (product.rows == 0 || product.columns == 0) return;
  if (product.a.dtype != product.b.dtype) throw ContractError("linear: operands of two types");
  if (product.a.depth_is_dense && product.b.depth_is_dense) return launch<true, true>(stream, product);
  if (product.a.depth_is_dense) return launch<true, false>(stream, product);
  if (!product.b.depth_is_dense) return launch<false, false>(stream, product);
  throw ContractError("linear: no kernel for operands that lie like this");
}

}  // namespace strandline::cuda
