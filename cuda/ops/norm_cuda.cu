// RMSNorm: a row lies in the registers of 32 to 1024 threads between the sum over it and the writing of it, so that x
// is read once. Gated: gated_norm_cuda.cu.
#include <algorithm>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/kernels/partial_sums.hpp"
#include "cuda/kernels/row_place.cuh"
#include "cuda/ops/norm_cuda.hpp"
#include "cuda/plans/row_ranges.hpp"

namespace strandline::cuda {
namespace {

struct RmsNorm {
  RowTensor x, y;
  const float* weight;
  std::int64_t rows;
  int width;
  float eps;
};

template <class X, class Y, class Place>
__global__ void __launch_bounds__(Place::kBlock, Place::at_once(4)) rms_norm_kernel(RmsNorm norm) {
  __shared__ float scratch[Place::kWarps];
  float weight[Place::kPacks][kPack];
  load_weights<Place>(norm.weight, norm.width, weight);
  const std::int64_t step = std::int64_t{gridDim.x} * Place::kRows;
  for (std::int64_t first = std::int64_t{blockIdx.x} * Place::kRows; first < norm.rows; first += step) {
    const std::int64_t row = first + Place::slot();
    const int width = row < norm.rows ? norm.width : 0;
    RawPack<X> x[Place::kPacks];
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const int column = Place::column(p);
      x[p] = load_pack<X>(norm.x, row * norm.x.stride + column, pack_count(width, column));
    }
    float sum[1] = {0.0F};
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) sum[0] = fmaf(x[p].get(i), x[p].get(i), sum[0]);
    }
    row_sums<Place>(sum, scratch);
    const float r = 1.0F / sqrtf(sum[0] / static_cast<float>(norm.width) + norm.eps);
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const int column = Place::column(p);
      float y[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) y[i] = weight[p][i] * x[p].get(i) * r;
      store_pack<Y>(norm.y, row * norm.y.stride + column, pack_count(width, column), y);
    }
  }
}

struct RmsNormBackward {
  RowTensor x, dy;
  GradientTensor dx;
  const float* weight;
  float* partials;  // (ranges, width), or null
  std::int64_t rows, rows_of_range;
  int width;
  float eps;
};

/// A row's numbers between the sums and the writing. Scales: dx = r * g - x * r^3 * mean(g * x).
template <class X, class Dy, class Place>
struct BackwardRow {
  RawPack<X> x[Place::kPacks];
  RawPack<Dy> dy[Place::kPacks];
};

template <class X, class Dy, class Place>
__device__ __forceinline__ void load_row(const RmsNormBackward& norm, std::int64_t row, int width,
                                         BackwardRow<X, Dy, Place>& held) {
#pragma unroll
  for (int p = 0; p < Place::kPacks; ++p) {
    const int column = Place::column(p);
    const int count = pack_count(width, column);
    held.x[p] = load_pack<X>(norm.x, row * norm.x.stride + column, count);
    held.dy[p] = load_pack<Dy>(norm.dy, row * norm.dy.stride + column, count);
  }
}

// One block, one range of rows.
template <class X, class Dy, class Dx, class Place>
__global__ void __launch_bounds__(Place::kBlock, Place::at_once(2)) rms_norm_backward_kernel(RmsNormBackward norm) {
  __shared__ float scratch[2 * Place::kWarps];
  float weight[Place::kPacks][kPack];
  float dweight[Place::kPacks][kPack]{};
  load_weights<Place>(norm.weight, norm.width, weight);
  const std::int64_t begin = blockIdx.x * norm.rows_of_range;
  const std::int64_t end = min(begin + norm.rows_of_range, norm.rows);
  for (std::int64_t first = begin; first < end; first += Place::kRows) {
    const std::int64_t row = first + Place::slot();
    const int width = row < end ? norm.width : 0;
    BackwardRow<X, Dy, Place> held;
    load_row(norm, row, width, held);
    float sums[2] = {0.0F, 0.0F};
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float x = held.x[p].get(i);
        sums[0] = fmaf(x, x, sums[0]);
        sums[1] = fmaf(held.dy[p].get(i) * weight[p][i], x, sums[1]);
      }
    }
    row_sums<Place>(sums, scratch);
    const auto channels = static_cast<float>(norm.width);
    const float r = 1.0F / sqrtf(sums[0] / channels + norm.eps);
    const float back = r * r * (sums[1] / channels);
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const int column = Place::column(p);
      float dx[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float x = held.x[p].get(i);
        const float dy = held.dy[p].get(i);
        dweight[p][i] = width > 0 ? fmaf(dy * x, r, dweight[p][i]) : dweight[p][i];
        dx[i] = r * fmaf(-x, back, dy * weight[p][i]);
      }
      if (norm.dx.rows.data != nullptr) {
        store_gradient<Dx>(norm.dx, row * norm.dx.rows.stride + column, pack_count(width, column), dx);
      }
    }
  }
  if (norm.partials != nullptr) {
    store_channel_sums<Place>(dweight, norm.width, norm.partials + std::int64_t{blockIdx.x} * norm.width);
  }
}

// Twice the blocks that fit: enough to fill every multiprocessor with the weights loaded once per block.
unsigned sweep_blocks(const Context& context, std::int64_t rows, int rows_of_block) {
  const std::int64_t most = std::int64_t{context.limits().multiprocessors} * 16;
  return static_cast<unsigned>(std::min(ceil_div(rows, std::int64_t{rows_of_block}), most));
}

/// The types that the model's norms meet, each alike or from the fp32 residual stream to the layer's type; else
/// whatever they are.
template <class Body>
void with_stream_types(const ops::RmsNormArgs& args, const Body& body) {
  const bool aligned = packs_are_aligned(args.x_td.size(1), {args.x_td, args.y_td});
  const bool x_is_f32 = args.x_td.dtype() == DType::f32;
  const bool y_is_f32 = args.y_td.dtype() == DType::f32;
  if (aligned && x_is_f32 && y_is_f32) return body(float{}, float{});
  if (aligned && x_is_f32) return body(float{}, bf16{});
  if (aligned && !y_is_f32) return body(bf16{}, bf16{});
  body(AnyElement{}, AnyElement{});
}

template <class Body>
void with_stream_types(const ops::RmsNormBackwardArgs& args, const Body& body) {
  const bool aligned = packs_are_aligned(args.x_td.size(1), {args.x_td, args.dy_td, args.dx_td});
  const bool stream_is_f32 = all_are(DType::f32, {args.x_td, args.dx_td});
  if (aligned && stream_is_f32 && args.dy_td.dtype() == DType::f32) return body(float{}, float{}, float{});
  if (aligned && stream_is_f32) return body(float{}, bf16{}, float{});
  if (aligned && all_are(DType::bf16, {args.x_td, args.dy_td, args.dx_td})) return body(bf16{}, bf16{}, bf16{});
  body(AnyElement{}, AnyElement{}, AnyElement{});
}

}  // namespace

void rms_norm(Context& context, const ops::RmsNormArgs& args) {
  const char* name = "rms_norm";
  const RmsNorm norm{.x = row_tensor(args.x_td),
                     .y = row_tensor(args.y_td),
                     .weight = device_data<float>(args.weight_d),
                     .rows = args.x_td.size(0),
                     .width = checked_cast<int>(args.x_td.size(1)),
                     .eps = static_cast<float>(args.eps)};
  const auto launch = [&](auto x, auto y, auto place) {
    using Place = decltype(place);
    rms_norm_kernel<decltype(x), decltype(y), Place>
        <<<sweep_blocks(context, norm.rows, Place::kRows), Place::kBlock, 0, context.stream()>>>(norm);
    check_launch(name);
  };
  with_row_place<4>(
      norm.width, name, [&](auto place) { with_stream_types(args, [&](auto x, auto y) { launch(x, y, place); }); },
      [&](auto place) { launch(AnyElement{}, AnyElement{}, place); });
}

void rms_norm_backward(Context& context, const ops::RmsNormBackwardArgs& args) {
  if (!args.dx_td && !args.dweight_d) return;
  const char* name = "rms_norm_backward";
  const Workspace::Scope scope(context.scratch());
  const std::int64_t width = args.x_td.size(1);
  const RowRanges ranges = plan_row_ranges(args.x_td.size(0));
  View partials;
  if (args.dweight_d) partials = context.scratch().take(DType::f32, {ranges.count, width});
  const RmsNormBackward norm{.x = row_tensor(args.x_td),
                             .dy = row_tensor(args.dy_td),
                             .dx = {row_tensor(args.dx_td), args.accumulate_dx},
                             .weight = device_data<float>(args.weight_d),
                             .partials = device_data<float>(partials),
                             .rows = args.x_td.size(0),
                             .rows_of_range = ranges.rows,
                             .width = checked_cast<int>(width),
                             .eps = static_cast<float>(args.eps)};
  const auto launch = [&](auto x, auto dy, auto dx, auto place) {
    using Place = decltype(place);
    rms_norm_backward_kernel<decltype(x), decltype(dy), decltype(dx), Place>
        <<<checked_grid(ranges.count, name), Place::kBlock, 0, context.stream()>>>(norm);
    check_launch(name);
  };
  with_row_place<4>(
      width, name,
      [&](auto place) { with_stream_types(args, [&](auto x, auto dy, auto dx) { launch(x, dy, dx, place); }); },
      [&](auto place) { launch(AnyElement{}, AnyElement{}, AnyElement{}, place); });
  if (!args.dweight_d) return;
  add_partial_sums(
      context,
      {.partials = norm.partials, .count = ranges.count, .columns = width, .out = device_data<float>(args.dweight_d)});
}

}  // namespace strandline::cuda
