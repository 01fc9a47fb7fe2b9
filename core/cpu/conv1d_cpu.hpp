// The causal depthwise convolution on the CPU. Contract: core/ops/conv1d.hpp. Measurements: docs/kernels/conv1d.md.
#pragma once

#include "core/cpu/cpu_context.hpp"
#include "core/ops/conv1d.hpp"

namespace strandline::cpu {

/// Reads x once from memory (K times from the first-level cache), writes y once.
void conv1d(CpuContext& context, const ops::Conv1dArgs& args);

/// Reads x and dy once, writes dx once. dweight and dbias are summed over ranges of kGradientTokens tokens of the pack,
/// then over the ranges in ascending order.
void conv1d_backward(CpuContext& context, const ops::Conv1dBackwardArgs& args);

}  // namespace strandline::cpu
