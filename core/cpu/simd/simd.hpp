// The table of vector kernels of one instruction set. The kernels are written once, in the headers beside this one, as
// templates on the vector width, and compiled once per instruction set (simd_<isa>.cpp).
//
// Rules for everything in this folder:
// - simd_<isa>.cpp and what it includes may use no function that the linker could merge with another file's copy
// (inline
//   functions, templates of the standard library): the merged copy might hold instructions that the processor lacks.
//   Kernels therefore live in unnamed namespaces and include nothing but <cstdint> and each other.
// - An element's bits depend on its own inputs alone, not on its place: tails run through the same vector code, padded.
// - No -ffast-math: NaN and infinity pass through. Products and sums are contracted to FMA where there is one.
#pragma once

#include <cstdint>

#include "core/cpu/cpu_isa.hpp"

namespace strandline::cpu {

/// The factors of one AdamW step, rounded from double once. Corrections are reciprocals.
struct AdamwFactors {
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float m_correction;
  float v_correction;
  float learning_rate;
  float eps;
  float weight_decay;
  float grad_scale;
};

/// Rows of the depthwise convolution: y[r] = f(bias + sum_k weight_kc[k] * x[r + k]), f = SiLU when `silu`.
struct Conv1dRows {
  std::int64_t channels;
  int taps;  ///< 2 to 8
  int rows;
  const float* const* x;   ///< rows + taps - 1 pointers to rows, oldest first
  const float* weight_kc;  ///< (taps, channels), dense
  const float* bias;       ///< may be null
  bool silu;
  float* const* y;  ///< rows pointers
};

/// Gradient at the sums: forward.y[r] receives du[r] = dy[r] * f'(u[r]); dweight_kc and dbias are added to, or null.
struct Conv1dGradientRows {
  Conv1dRows forward;
  const float* const* dy;
  float* dweight_kc;
  float* dbias;
};

/// One row of the decay mask of the scan: A_row - A_i for the first `count` places, from pairs high + low of floats.
/// Arrays are read and written in whole vectors: what lies behind `count` must be there, but may hold anything.
struct ScanMaskRow {
  std::int64_t count;
  std::int64_t filled;  ///< columns up to here are written, with zeros from `count` on
  float row_high;
  float row_low;
  const float* high;
  const float* low;
  const float* scores;
  const float* scale;
};

/// weights[i] = scores[i] * w_i with w_i = exp(A_row - A_i); dscores[i] += products[i] * w_i * delta;
/// pairs[i] += the same times scores[i].
struct ScanGradientRow {
  ScanMaskRow mask;  ///< `scale` is not read
  float delta;
  const float* products;
  float* weights;
  float* dscores;
  float* pairs;
};

/// Unless said otherwise: n elements, dense, out may be an input, n = 0 does nothing, no alignment asked for.
struct SimdTable {
  CpuIsa isa;
  int width;  ///< floats in a vector

  // Matrix product: see core/cpu/gemm.hpp, which is how to use these.
  int gemm_rows;     ///< MR
  int gemm_columns;  ///< NR
  /// Tile of MR x NR: c (+)= sum over ascending k of a column times b row. b is packed: b[k * NR + n], 64-byte aligned.
  /// a_rows: rows of A dense in k (a[m * stride + k]); of the MR rows only the first `rows` are read, the others repeat
  /// the last. a_columns: A dense in m (a[k * stride + m]); all MR are read.
  void (*gemm_tile_a_rows)(std::int64_t k, const float* a, std::int64_t stride, int rows, const float* b, float* c,
                           std::int64_t c_row, bool accumulate);
  void (*gemm_tile_a_columns)(std::int64_t k, const float* a, std::int64_t stride, const float* b, float* c,
                              std::int64_t c_row, bool accumulate);
  /// to[k * lanes + i] = from[i * stride + k] for i < rows, 0 up to lanes; k < depth.
  void (*pack_transposed)(const float* from, std::int64_t stride, int rows, int lanes, std::int64_t depth, float* to);
  /// to[k * lanes + i] = from[k * stride + i] for i < rows, 0 up to lanes; k < depth.
  void (*pack_copied)(const float* from, std::int64_t stride, int rows, int lanes, std::int64_t depth, float* to);

  /// weights[i] = scores[i] * scale[i] * exp(A_row - A_i)
  void (*scan_mask_row)(const ScanMaskRow& row, float* weights);
  void (*scan_gradient_row)(const ScanGradientRow& args);
  /// sums[j] = sum over ascending r of a[r * gemm_columns + j] * b[r * gemm_columns + j], for gemm_columns columns
  void (*column_dots)(std::int64_t rows, const float* a, const float* b, float* sums);
  void (*conv1d_rows)(const Conv1dRows& args);
  void (*conv1d_gradient_rows)(const Conv1dGradientRows& args);

  // Elementwise. Errors are in units of the last place of the result.
  void (*exp)(std::int64_t n, const float* x, float* y);      ///< within 2 ulp; 0 and infinity at the ends
  void (*sigmoid)(std::int64_t n, const float* x, float* y);  ///< 1 / (1 + exp(-x)), within 3 ulp
  void (*silu)(std::int64_t n, const float* x, float* y);     ///< x * sigmoid(x)
  void (*silu_backward)(std::int64_t n, const float* x, const float* dy, float* dx);  ///< dx = dy * silu'(x)
  void (*softplus)(std::int64_t n, const float* x, float* y);                         ///< log(1 + exp(x)), within 3 ulp
  void (*add)(std::int64_t n, const float* x, float* y);                              ///< y += x
  void (*add_scaled)(std::int64_t n, float a, const float* x, float* y);              ///< y += a * x
  void (*scale)(std::int64_t n, float a, const float* x, float* y);                   ///< y = a * x
  void (*multiply)(std::int64_t n, const float* a, const float* b, float* y);
  void (*multiply_add)(std::int64_t n, const float* a, const float* b, float* y);  ///< y += a * b
  /// Sums run in a fixed number of lanes and then in a fixed tree: the order depends on n alone.
  float (*dot)(std::int64_t n, const float* a, const float* b);
  float (*sum)(std::int64_t n, const float* x);
  double (*sum_of_squares)(std::int64_t n, const float* x);  ///< in double

  // Rows of the norms.
  float (*dot3)(std::int64_t n, const float* a, const float* b, const float* c);
  void (*scaled_product)(std::int64_t n, float r, const float* a, const float* b, float* y);      ///< y = r * a * b
  void (*add_scaled_product)(std::int64_t n, float r, const float* a, const float* b, float* y);  ///< y += r * a * b
  /// dx (+)= r * g * weight - q * v
  void (*rms_dx)(std::int64_t n, float r, float q, const float* v, const float* g, const float* weight, float* dx,
                 bool accumulate);
  void (*gate)(std::int64_t n, const float* x, const float* z, float* y);  ///< y = x * silu(z)
  void (*gate_slope)(std::int64_t n, const float* dy, const float* x, const float* z,
                     float* dz);  ///< dy * x * silu'(z)

  void (*adamw)(std::int64_t n, const AdamwFactors& factors, const float* grad, float* param, float* m, float* v);
};

/// @throws UnavailableError when this processor or this build lacks it.
const SimdTable& simd_table(CpuIsa isa);

}  // namespace strandline::cpu
