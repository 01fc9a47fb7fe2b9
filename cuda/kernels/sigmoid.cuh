// sigmoid and SiLU for the element-wise parts of kernels.
#pragma once

namespace strandline::cuda {

/// Within one unit in the last place for x >= 1, in one instruction: a correctly rounded reciprocal takes seven, and
/// these kernels have few to spare under the memory's time.
__device__ __forceinline__ float fast_reciprocal(float x) {
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

__device__ __forceinline__ float sigmoid(float x) { return fast_reciprocal(1.0F + expf(-x)); }

/// The slope of x * sigmoid(x), given s = sigmoid(x).
__device__ __forceinline__ float silu_slope(float x, float s) { return fmaf(x * s, 1.0F - s, s); }

}  // namespace strandline::cuda
