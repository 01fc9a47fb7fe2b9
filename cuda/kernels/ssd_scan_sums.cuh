// The gradients of the scan that are one number per head: from the sums of each tile to the sum over the pack.
#pragma once

#include <cstdint>

#include "cuda/base/reduce.cuh"

namespace strandline::cuda {

inline constexpr int kSumThreads = 256;

/// One head's share of the gradients that are summed over tokens.
struct HeadSums {
  double da_log;
  double dd;
  double ddt_bias;
};

/// totals[head] += the sums of a window's tiles, in one fixed order; one block per head.
static __global__ void __launch_bounds__(kSumThreads)
    sum_over_tiles(const HeadSums* sums, std::int64_t tiles, int heads, HeadSums* totals) {
  __shared__ double scratch[kSumThreads / kWarp];
  const int head = static_cast<int>(blockIdx.x);
  HeadSums sum{0.0, 0.0, 0.0};
  for (std::int64_t tile = threadIdx.x; tile < tiles; tile += kSumThreads) {
    const HeadSums one = sums[tile * heads + head];
    sum.da_log += one.da_log;
    sum.dd += one.dd;
    sum.ddt_bias += one.ddt_bias;
  }
  sum.da_log = block_sum<kSumThreads>(sum.da_log, scratch);
  sum.dd = block_sum<kSumThreads>(sum.dd, scratch);
  sum.ddt_bias = block_sum<kSumThreads>(sum.ddt_bias, scratch);
  if (threadIdx.x != 0) return;
  totals[head].da_log += sum.da_log;
  totals[head].dd += sum.dd;
  totals[head].ddt_bias += sum.ddt_bias;
}

struct HeadGradients {
  float* da_log_h;
  float* dd_h;
  float* ddt_bias_h;
};

static __global__ void add_head_sums(const HeadSums* totals, int heads, HeadGradients to) {
  const int head = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (head >= heads) return;
  if (to.da_log_h != nullptr) to.da_log_h[head] += static_cast<float>(totals[head].da_log);
  if (to.dd_h != nullptr) to.dd_h[head] += static_cast<float>(totals[head].dd);
  if (to.ddt_bias_h != nullptr) to.ddt_bias_h[head] += static_cast<float>(totals[head].ddt_bias);
}

}  // namespace strandline::cuda
