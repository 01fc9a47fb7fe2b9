#include "core/cpu/norm_cpu.hpp"

#include <array>
#include <cmath>

#include "core/cpu/row_sums.hpp"

namespace strandline::cpu {
namespace {

/// Rows of one tensor.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
  T* operator[](std::int64_t row) const { return data + row * stride; }
};

Rows<const float> rows_of(const ConstView& view) { return {view.as<float>(), view.stride(0)}; }

/// An absent tensor has rows in `spare`, one and the same for all.
Rows<float> rows_or(const View& view, float* spare) {
  return view ? Rows<float>{view.as<float>(), view.stride(0)} : Rows<float>{spare, 0};
}

float* take(Workspace& scratch, std::int64_t floats) { return scratch.take(DType::f32, {floats}).as<float>(); }

float scale_of(const SimdTable& simd, std::int64_t n, const float* v, double eps) {
  return 1.0F / std::sqrt(simd.dot(n, v, v) / static_cast<float>(n) + static_cast<float>(eps));
}

/// The factor of v in the gradient of r * v: r^3 * mean(g * weight * v).
float pull_of(const SimdTable& simd, std::int64_t n, float r, const float* v, const float* g, const float* weight) {
  return r * r * r * (simd.dot3(n, g, weight, v) / static_cast<float>(n));
}

/// One group of channels of one row in the gated backward.
struct GatedRow {
  std::int64_t n;
  const float* x;
  const float* z;
  const float* weight;
  const float* dy;
  float* dx;
  float* dz;
  float* dweight;
};

// dv is the gradient of v = x * silu(z), which the norm sees.
void gate_then_norm_backward(const SimdTable& simd, const GatedRow& row, double eps, float* v, float* dv) {
  simd.gate(row.n, row.x, row.z, v);
  const float r = scale_of(simd, row.n, v, eps);
  simd.add_scaled_product(row.n, r, row.dy, v, row.dweight);
  simd.rms_dx(row.n, r, pull_of(simd, row.n, r, v, row.dy, row.weight), v, row.dy, row.weight, dv, false);
  simd.gate(row.n, dv, row.z, row.dx);
  simd.gate_slope(row.n, dv, row.x, row.z, row.dz);
}

// g = dy * silu(z) is the gradient of the norm's result.
void norm_then_gate_backward(const SimdTable& simd, const GatedRow& row, double eps, float* g, float* normed) {
  const float r = scale_of(simd, row.n, row.x, eps);
  simd.gate(row.n, row.dy, row.z, g);
  simd.add_scaled_product(row.n, r, g, row.x, row.dweight);
  simd.rms_dx(row.n, r, pull_of(simd, row.n, r, row.x, g, row.weight), row.x, g, row.weight, row.dx, false);
  simd.scaled_product(row.n, r, row.x, row.weight, normed);
  simd.gate_slope(row.n, row.dy, normed, row.z, row.dz);
}

}  // namespace

void rms_norm(CpuContext& context, const ops::RmsNormArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const auto x = rows_of(args.x_td);
  const auto y = rows_or(args.y_td, nullptr);
  const auto* weight = args.weight_d.as<float>();
  for_rows(context, args.x_td.size(0), channels, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      context.simd.scaled_product(channels, scale_of(context.simd, channels, x[t], args.eps), x[t], weight, y[t]);
    }
  });
}

void rms_norm_backward(CpuContext& context, const ops::RmsNormBackwardArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const auto x = rows_of(args.x_td);
  const auto dy = rows_of(args.dy_td);
  const auto* weight = args.weight_d.as<float>();
  const std::array<View, 1> sums_d{args.dweight_d};
  sum_over_rows(context, {args.x_td.size(0), channels, sums_d}, [&](std::int64_t t, float* dweight, int) {
    const SimdTable& simd = context.simd;
    const float r = scale_of(simd, channels, x[t], args.eps);
    if (args.dweight_d) simd.add_scaled_product(channels, r, dy[t], x[t], dweight);
    if (!args.dx_td) return;
    const float pull = pull_of(simd, channels, r, x[t], dy[t], weight);
    simd.rms_dx(channels, r, pull, x[t], dy[t], weight, rows_or(args.dx_td, nullptr)[t], args.accumulate_dx);
  });
}

void gated_rms_norm(CpuContext& context, const ops::GatedRmsNormArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const std::int64_t width = channels / args.groups;
  const auto x = rows_of(args.x_td);
  const auto z = rows_of(args.z_td);
  const auto y = rows_or(args.y_td, nullptr);
  const auto* weight = args.weight_d.as<float>();
  const SimdTable& simd = context.simd;
  const auto row = [&](const float* x_n, const float* z_n, const float* weight_n, float* y_n) {
    if (args.order == ops::GateOrder::gate_then_norm) {
      simd.gate(width, x_n, z_n, y_n);
      simd.scaled_product(width, scale_of(simd, width, y_n, args.eps), y_n, weight_n, y_n);
    } else {
      simd.scaled_product(width, scale_of(simd, width, x_n, args.eps), x_n, weight_n, y_n);
      simd.gate(width, y_n, z_n, y_n);
    }
  };
  for_rows(context, args.x_td.size(0), channels, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      for (std::int64_t d = 0; d < channels; d += width) row(x[t] + d, z[t] + d, weight + d, y[t] + d);
    }
  });
}

void gated_rms_norm_backward(CpuContext& context, const ops::GatedRmsNormBackwardArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const std::int64_t width = channels / args.groups;
  const auto x = rows_of(args.x_td);
  const auto z = rows_of(args.z_td);
  const auto dy = rows_of(args.dy_td);
  const auto* weight = args.weight_d.as<float>();
  const std::array<View, 1> sums_d{args.dweight_d};
  sum_over_rows(context, {args.x_td.size(0), channels, sums_d}, [&](std::int64_t t, float* dweight, int worker) {
    Workspace& scratch = context.scratch[static_cast<std::size_t>(worker)];
    const Workspace::Scope scope(scratch);
    float* first = take(scratch, width);
    float* second = take(scratch, width);
    float* spare = take(scratch, channels);
    const auto dx = rows_or(args.dx_td, spare);
    const auto dz = rows_or(args.dz_td, spare);
    for (std::int64_t d = 0; d < channels; d += width) {
      const GatedRow row{width, x[t] + d, z[t] + d, weight + d, dy[t] + d, dx[t] + d, dz[t] + d, dweight + d};
      if (args.order == ops::GateOrder::gate_then_norm) {
        gate_then_norm_backward(context.simd, row, args.eps, first, second);
      } else {
        norm_then_gate_backward(context.simd, row, args.eps, first, second);
      }
    }
  });
}

}  // namespace strandline::cpu
