// Sums over a warp and a block in one fixed order: the same numbers give the same bits, whatever else runs.
#pragma once

namespace strandline::cuda {

inline constexpr int kWarp = 32;

/// Butterfly: every lane gets the sum, all lanes the same bits.
__device__ __forceinline__ float warp_sum(float value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffU, value, step);
  return value;
}

__device__ __forceinline__ double warp_sum(double value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffU, value, step);
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, step));
  return value;
}

/// Sum over a block of kThreads threads (a multiple of 32); every thread gets it. All threads must call.
/// `scratch` holds kThreads / 32 values and may be reused after the next __syncthreads().
template <int kThreads, class T>
__device__ __forceinline__ T block_sum(T value, T* scratch) {
  value = warp_sum(value);
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
  __syncthreads();
  T sum = scratch[0];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) sum += scratch[warp];
  __syncthreads();
  return sum;
}

}  // namespace strandline::cuda
