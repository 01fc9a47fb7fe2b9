// Matrix products by kernels of our own.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/base/product.hpp"

namespace strandline::cuda {

/// Any sizes, strides and alignments; no tensor may overlap y. y[m, n] does not depend on the number of rows, on m's
/// place, or on what other rows hold. Depth 0 gives the bias, or zero. Nothing is launched when y is empty.
/// The operands are both f32 (then y is f32) or both bf16. Combinations: (a, b) depth-dense both, a alone, or neither
/// (then y is f32).
/// @throws ContractError for any other.
void own_product(cudaStream_t stream, const Product& product);

}  // namespace strandline::cuda
