// Fills the table of one instruction set. Included only by simd_<isa>.cpp.
#pragma once

#include "core/cpu/simd/conv1d_kernels.hpp"
#include "core/cpu/simd/elementwise_kernels.hpp"
#include "core/cpu/simd/gemm_kernels.hpp"
#include "core/cpu/simd/norm_kernels.hpp"
#include "core/cpu/simd/scan_kernels.hpp"
#include "core/cpu/simd/simd.hpp"

namespace strandline::cpu {
namespace {

/// @tparam W floats in a vector; MR rows and NV vectors of the matrix product's tile.
template <int W, int MR, int NV>
constexpr SimdTable table_of(CpuIsa isa) {
  using E = Elementwise<W>;
  using N = Norm<W>;
  using G = Gemm<W, MR, NV>;
  return {.isa = isa,
          .width = W,
          .gemm_rows = MR,
          .gemm_columns = G::kColumns,
          .gemm_tile_a_rows = G::tile_a_rows,
          .gemm_tile_a_columns = G::tile_a_columns,
          .pack_transposed = Pack<W>::transposed,
          .pack_copied = Pack<W>::copied,
          .scan_mask_row = Scan<W>::mask_row,
          .scan_gradient_row = Scan<W>::gradient_row,
          .column_dots = Scan<W>::template column_dots<NV>,
          .conv1d_rows = Conv1d<W>::forward,
          .conv1d_gradient_rows = Conv1d<W>::backward,
          .exp = E::exp,
          .sigmoid = E::sigmoid,
          .silu = E::silu,
          .silu_backward = E::silu_backward,
          .softplus = E::softplus,
          .add = E::add,
          .add_scaled = E::add_scaled,
          .scale = E::scale,
          .multiply = E::multiply,
          .multiply_add = E::multiply_add,
          .dot = E::dot,
          .sum = E::sum,
          .sum_of_squares = E::sum_of_squares,
          .dot3 = N::dot3,
          .scaled_product = N::scaled_product,
          .add_scaled_product = N::add_scaled_product,
          .rms_dx = N::rms_dx,
          .gate = N::gate,
          .gate_slope = N::gate_slope,
          .adamw = Optimiser<W>::adamw};
}

}  // namespace
}  // namespace strandline::cpu
