// One matrix product, in the terms in which cuBLASLt and our own kernels are both asked. No CUDA in here: plans use it.
#pragma once

#include <cstdint>

#include "core/base/dtype.hpp"

namespace strandline::cuda {

/// The most scratch that cuBLASLt is given for one product: what it asks for on compute capability 9.0.
inline constexpr std::int64_t kBlasWorkspaceBytes = std::int64_t{32} << 20;

/// A matrix in device memory, rows by depth. One of the two axes is dense, the other has `stride` elements.
struct Operand {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t stride = 0;
  bool depth_is_dense = true;
};

///     y[r, m, n] (+)= sum_k a(m, k) * b(n, k) + bias[n]      r: ranges of the depth, k ascending within range r
///
/// Both operands have one type: f32 is multiplied in full fp32, bf16 on tensor cores with fp32 sums.
struct Product {
  Operand a;
  Operand b;
  void* y = nullptr;
  DType y_dtype = DType::f32;
  std::int64_t y_stride = 0;
  const float* bias = nullptr;
  bool accumulate = false;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  std::int64_t range = 0;           ///< depth of one range, the last may be shorter; 0: the whole depth is one range
  std::int64_t y_range_stride = 0;  ///< elements from one range's y to the next

  std::int64_t ranges() const { return range > 0 ? (depth + range - 1) / range : 1; }
  std::int64_t range_depth() const { return range > 0 && range < depth ? range : depth; }
};

}  // namespace strandline::cuda
