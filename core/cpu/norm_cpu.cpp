#include "core/cpu/norm_cpu.hpp"

#include <cmath>

#include "core/cpu/rows.hpp"

namespace strandline::cpu {
namespace {

// Rows whose weight gradients are summed by one thread into one partial sum. Fixed, so that the sum does not depend on
// the number of threads; the partial sums are then added up in double, ascending.
constexpr std::int64_t kGradientRows = 256;

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

void add_partial_sums(CpuContext& context, const float* partial, std::int64_t blocks, const View& dweight_d) {
  constexpr std::int64_t kColumns = 64;
  const std::int64_t channels = dweight_d.size(0);
  auto* dweight = dweight_d.as<float>();
  for_row_blocks(context, channels, kColumns, [&](std::int64_t begin, std::int64_t end, int) {
    double sum[kColumns] = {};
    for (std::int64_t block = 0; block < blocks; ++block) {
      for (std::int64_t d = begin; d < end; ++d) sum[d - begin] += static_cast<double>(partial[block * channels + d]);
    }
    for (std::int64_t d = begin; d < end; ++d) dweight[d] += static_cast<float>(sum[d - begin]);
  });
}

/// Runs body(t, dweight of its block, worker) for all rows, then adds the blocks' sums to dweight_d if that is wanted.
template <class Body>
void backward_rows(CpuContext& context, std::int64_t tokens, std::int64_t channels, const View& dweight_d,
                   Body&& body) {
  const std::int64_t blocks = ceil_div(tokens, kGradientRows);
  const Workspace::Scope scope(context.scratch[0]);
  float* partial = take(context.scratch[0], blocks * channels);
  for_row_blocks(context, tokens, kGradientRows, [&](std::int64_t begin, std::int64_t end, int worker) {
    float* sums = partial + begin / kGradientRows * channels;
    std::fill_n(sums, channels, 0.0F);
    for (std::int64_t t = begin; t < end; ++t) body(t, sums, worker);
  });
  if (dweight_d) add_partial_sums(context, partial, blocks, dweight_d);
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
  backward_rows(context, args.x_td.size(0), channels, args.dweight_d, [&](std::int64_t t, float* dweight, int) {
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
  backward_rows(context, args.x_td.size(0), channels, args.dweight_d, [&](std::int64_t t, float* dweight, int worker) {
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
