#include "core/cpu/layer_norm_cpu.hpp"

#include <array>
#include <cmath>

#include "core/cpu/row_sums.hpp"

namespace strandline::cpu {
namespace {

// normed = (x - mean) / sqrt(variance + eps). The mean is taken away before squaring: no cancellation.
// @returns 1 / sqrt(variance + eps)
float normalise(const SimdTable& simd, std::int64_t n, const float* x, double eps, float* normed) {
  const float mean = simd.sum(n, x) / static_cast<float>(n);
  for (std::int64_t d = 0; d < n; ++d) normed[d] = x[d] - mean;
  const float variance = simd.dot(n, normed, normed) / static_cast<float>(n);
  const float r = 1.0F / std::sqrt(variance + static_cast<float>(eps));
  simd.scale(n, r, normed, normed);
  return r;
}

}  // namespace

void layer_norm(CpuContext& context, const ops::LayerNormArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const auto* x = args.x_td.as<float>();
  const auto* weight = args.weight_d.as<float>();
  const auto* bias = args.bias_d.as<float>();
  auto* y = args.y_td.as<float>();
  for_rows(context, args.x_td.size(0), channels, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* row = y + t * args.y_td.stride(0);
      normalise(context.simd, channels, x + t * args.x_td.stride(0), args.eps, row);
      context.simd.multiply(channels, row, weight, row);
      context.simd.add(channels, bias, row);
    }
  });
}

// With g = dy * weight: dx = r * (g - mean(g) - normed * mean(g * normed)).
void layer_norm_backward(CpuContext& context, const ops::LayerNormBackwardArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const auto* weight = args.weight_d.as<float>();
  const std::array<View, 2> sums_d{args.dweight_d, args.dbias_d};
  const SimdTable& simd = context.simd;
  const auto row = [&](std::int64_t t, float* sums, int worker) {
    Workspace& scratch = context.scratch[static_cast<std::size_t>(worker)];
    const Workspace::Scope scope(scratch);
    auto* normed = scratch.take(DType::f32, {channels}).as<float>();
    auto* g = scratch.take(DType::f32, {channels}).as<float>();
    const auto* dy = args.dy_td.as<float>() + t * args.dy_td.stride(0);
    const float r = normalise(simd, channels, args.x_td.as<float>() + t * args.x_td.stride(0), args.eps, normed);
    simd.multiply_add(channels, dy, normed, sums);
    simd.add(channels, dy, sums + channels);
    if (!args.dx_td) return;
    simd.multiply(channels, dy, weight, g);
    const float mean_g = simd.sum(channels, g) / static_cast<float>(channels);
    const float mean_product = simd.dot(channels, g, normed) / static_cast<float>(channels);
    float* dx = args.dx_td.as<float>() + t * args.dx_td.stride(0);
    for (std::int64_t d = 0; d < channels; ++d) g[d] = r * (g[d] - mean_g - normed[d] * mean_product);
    if (args.accumulate_dx) {
      simd.add(channels, g, dx);
    } else {
      std::copy_n(g, channels, dx);
    }
  };
  sum_over_rows(context, {args.x_td.size(0), channels, sums_d}, row);
}

}  // namespace strandline::cpu
