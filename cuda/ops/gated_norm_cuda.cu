// Gated RMSNorm over groups of channels. Each block keeps to one group, whose weights it holds.
#include <algorithm>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/kernels/partial_sums.hpp"
#include "cuda/kernels/row_place.cuh"
#include "cuda/kernels/sigmoid.cuh"
#include "cuda/ops/norm_cuda.hpp"
#include "cuda/plans/row_ranges.hpp"

namespace strandline::cuda {
namespace {

struct GatedNorm {
  RowTensor x, z, y;
  const float* weight;
  std::int64_t rows, groups;
  int width;  // of a group
  bool gate_first;
  float eps;
};

template <class T, class Place>
__global__ void __launch_bounds__(Place::kBlock, Place::at_once(3)) gated_norm_kernel(GatedNorm norm) {
  __shared__ float scratch[Place::kWarps];
  const std::int64_t group_begin = blockIdx.x % norm.groups * norm.width;
  float weight[Place::kPacks][kPack];
  load_weights<Place>(norm.weight + group_begin, norm.width, weight);
  const std::int64_t step = gridDim.x / norm.groups * Place::kRows;
  for (std::int64_t first = blockIdx.x / norm.groups * Place::kRows; first < norm.rows; first += step) {
    const std::int64_t row = first + Place::slot();
    const int width = row < norm.rows ? norm.width : 0;
    RawPack<T> x[Place::kPacks];
    RawPack<T> z[Place::kPacks];
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const std::int64_t column = group_begin + Place::column(p);
      const int count = pack_count(width, Place::column(p));
      x[p] = load_pack<T>(norm.x, row * norm.x.stride + column, count);
      z[p] = load_pack<T>(norm.z, row * norm.z.stride + column, count);
    }
    float gate[Place::kPacks][kPack];
    float sum[1] = {0.0F};
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        gate[p][i] = z[p].get(i) * sigmoid(z[p].get(i));
        const float v = norm.gate_first ? x[p].get(i) * gate[p][i] : x[p].get(i);
        sum[0] = fmaf(v, v, sum[0]);
      }
    }
    row_sums<Place>(sum, scratch);
    const float r = 1.0F / sqrtf(sum[0] / static_cast<float>(norm.width) + norm.eps);
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      float y[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float v = norm.gate_first ? x[p].get(i) * gate[p][i] : x[p].get(i);
        const float normed = weight[p][i] * v * r;
        y[i] = norm.gate_first ? normed : normed * gate[p][i];
      }
      store_pack<T>(norm.y, row * norm.y.stride + group_begin + Place::column(p), pack_count(width, Place::column(p)),
                    y);
    }
  }
}

struct GatedNormBackward {
  RowTensor x, z, dy, dx, dz;
  const float* weight;
  float* partials;  // (ranges, groups * width), or null
  std::int64_t rows, rows_of_range, groups;
  int width;
  bool gate_first;
  float eps;
};

/// What is normed, and the gradient of the normed row. With r = 1 / sqrt(mean(v^2) + eps), that of v is
/// r * g - v * r^3 * mean(g * v).
struct Normed {
  float v;
  float g;
};

__device__ __forceinline__ Normed normed_of(bool gate_first, float x, float gate, float scaled_dy) {
  return gate_first ? Normed{x * gate, scaled_dy} : Normed{x, scaled_dy * gate};
}

struct RowScales {
  float r;
  float back;  // r^2 * mean(g * v)
};

/// One element, s = sigmoid(z), and its gradients.
struct GatedElement {
  float x, z, s, dy, weight;
};
struct GatedGradient {
  float dx, dz, dweight;
};

__device__ __forceinline__ GatedGradient gated_gradient(bool gate_first, const RowScales& row, const GatedElement& of) {
  const float gate = of.z * of.s;
  const Normed normed = normed_of(gate_first, of.x, gate, of.dy * of.weight);
  const float dv = row.r * fmaf(-normed.v, row.back, normed.g);
  const float slope = silu_slope(of.z, of.s);
  GatedGradient gradient;
  gradient.dx = gate_first ? dv * gate : dv;
  gradient.dz = gate_first ? dv * of.x * slope : of.dy * of.weight * (of.x * row.r) * slope;
  gradient.dweight = of.dy * (of.x * gate) * row.r;
  return gradient;
}

template <class T, class Place>
struct GatedRow {
  RawPack<T> x[Place::kPacks];
  RawPack<T> z[Place::kPacks];
  RawPack<T> dy[Place::kPacks];
};

/// A group's channels of one row; no width where there is no row.
struct GroupOfRow {
  std::int64_t row, begin;
  int width;
};

template <class T, class Place>
__device__ __forceinline__ void load_row(const GatedNormBackward& norm, const GroupOfRow& at,
                                         GatedRow<T, Place>& held) {
#pragma unroll
  for (int p = 0; p < Place::kPacks; ++p) {
    const std::int64_t column = at.begin + Place::column(p);
    const int count = pack_count(at.width, Place::column(p));
    held.x[p] = load_pack<T>(norm.x, at.row * norm.x.stride + column, count);
    held.z[p] = load_pack<T>(norm.z, at.row * norm.z.stride + column, count);
    held.dy[p] = load_pack<T>(norm.dy, at.row * norm.dy.stride + column, count);
  }
}

// One block, one range of rows of one group.
template <class T, class Place>
__global__ void __launch_bounds__(Place::kBlock, Place::at_once(2)) gated_norm_backward_kernel(GatedNormBackward norm) {
  __shared__ float scratch[2 * Place::kWarps];
  const std::int64_t range = blockIdx.x / norm.groups;
  const std::int64_t group_begin = blockIdx.x % norm.groups * norm.width;
  float weight[Place::kPacks][kPack];
  float dweight[Place::kPacks][kPack]{};
  load_weights<Place>(norm.weight + group_begin, norm.width, weight);
  const std::int64_t end = min((range + 1) * norm.rows_of_range, norm.rows);
  for (std::int64_t first = range * norm.rows_of_range; first < end; first += Place::kRows) {
    const std::int64_t row = first + Place::slot();
    const int width = row < end ? norm.width : 0;
    GatedRow<T, Place> held;
    load_row(norm, {row, group_begin, width}, held);
    float s[Place::kPacks][kPack];
    float sums[2] = {0.0F, 0.0F};
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float z = held.z[p].get(i);
        s[p][i] = sigmoid(z);
        const Normed normed =
            normed_of(norm.gate_first, held.x[p].get(i), z * s[p][i], held.dy[p].get(i) * weight[p][i]);
        sums[0] = fmaf(normed.v, normed.v, sums[0]);
        sums[1] = fmaf(normed.g, normed.v, sums[1]);
      }
    }
    row_sums<Place>(sums, scratch);
    const auto channels = static_cast<float>(norm.width);
    const float r = 1.0F / sqrtf(sums[0] / channels + norm.eps);
    const RowScales scales{r, r * r * (sums[1] / channels)};
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      float dx[kPack];
      float dz[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const GatedGradient gradient = gated_gradient(
            norm.gate_first, scales, {held.x[p].get(i), held.z[p].get(i), s[p][i], held.dy[p].get(i), weight[p][i]});
        dx[i] = gradient.dx;
        dz[i] = gradient.dz;
        dweight[p][i] += width > 0 ? gradient.dweight : 0.0F;
      }
      const int count = pack_count(width, Place::column(p));
      const std::int64_t column = group_begin + Place::column(p);
      if (norm.dx.data != nullptr) store_pack<T>(norm.dx, row * norm.dx.stride + column, count, dx);
      if (norm.dz.data != nullptr) store_pack<T>(norm.dz, row * norm.dz.stride + column, count, dz);
    }
  }
  if (norm.partials != nullptr) {
    store_channel_sums<Place>(dweight, norm.width, norm.partials + (range * norm.groups * norm.width + group_begin));
  }
}

}  // namespace

void gated_rms_norm(Context& context, const ops::GatedRmsNormArgs& args) {
  const char* name = "gated_rms_norm";
  const std::int64_t width = args.x_td.size(1) / args.groups;
  const GatedNorm norm{.x = row_tensor(args.x_td),
                       .z = row_tensor(args.z_td),
                       .y = row_tensor(args.y_td),
                       .weight = device_data<float>(args.weight_d),
                       .rows = args.x_td.size(0),
                       .groups = args.groups,
                       .width = checked_cast<int>(width),
                       .gate_first = args.order == ops::GateOrder::gate_then_norm,
                       .eps = static_cast<float>(args.eps)};
  const std::int64_t most = std::max<std::int64_t>(1, context.limits().multiprocessors * 16 / norm.groups);
  with_row_kernel<4>(width, name, {args.x_td, args.z_td, args.y_td}, [&](auto element, auto place) {
    using Place = decltype(place);
    const std::int64_t of_group = std::min(ceil_div(norm.rows, std::int64_t{Place::kRows}), most);
    gated_norm_kernel<decltype(element), Place>
        <<<checked_grid(of_group * norm.groups, name), Place::kBlock, 0, context.stream()>>>(norm);
    check_launch(name);
  });
}

void gated_rms_norm_backward(Context& context, const ops::GatedRmsNormBackwardArgs& args) {
  if (!args.dx_td && !args.dz_td && !args.dweight_d) return;
  const char* name = "gated_rms_norm_backward";
  const Workspace::Scope scope(context.scratch());
  const std::int64_t channels = args.x_td.size(1);
  const std::int64_t width = channels / args.groups;
  const RowRanges ranges = plan_row_ranges(args.x_td.size(0));
  View partials;
  if (args.dweight_d) partials = context.scratch().take(DType::f32, {ranges.count, channels});
  const GatedNormBackward norm{.x = row_tensor(args.x_td),
                               .z = row_tensor(args.z_td),
                               .dy = row_tensor(args.dy_td),
                               .dx = row_tensor(args.dx_td),
                               .dz = row_tensor(args.dz_td),
                               .weight = device_data<float>(args.weight_d),
                               .partials = device_data<float>(partials),
                               .rows = args.x_td.size(0),
                               .rows_of_range = ranges.rows,
                               .groups = args.groups,
                               .width = checked_cast<int>(width),
                               .gate_first = args.order == ops::GateOrder::gate_then_norm,
                               .eps = static_cast<float>(args.eps)};
  with_row_kernel<2>(
      width, name, {args.x_td, args.z_td, args.dy_td, args.dx_td, args.dz_td}, [&](auto element, auto place) {
        using Place = decltype(place);
        gated_norm_backward_kernel<decltype(element), Place>
            <<<checked_grid(ranges.count * norm.groups, name), Place::kBlock, 0, context.stream()>>>(norm);
        check_launch(name);
      });
  if (!args.dweight_d) return;
  add_partial_sums(context, {.partials = norm.partials,
                             .count = ranges.count,
                             .columns = channels,
                             .out = device_data<float>(args.dweight_d)});
}

}  // namespace strandline::cuda
