// LayerNorm: as norm_cuda.cu, with the mean taken away first. The variance is summed over what is left, so that rows
// far from zero keep their precision.
#include "cuda/ops/layer_norm_cuda.hpp"

#include <algorithm>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/kernels/partial_sums.hpp"
#include "cuda/kernels/row_place.cuh"
#include "cuda/plans/row_ranges.hpp"

namespace strandline::cuda {
namespace {

struct LayerNorm {
  RowTensor x, y;
  const float* weight;
  const float* bias;
  std::int64_t rows;
  int width;
  float eps;
};

struct RowScale {
  float mean;
  float r;  // 1 / sqrt(variance + eps)
};

template <class T, class Place>
__device__ __forceinline__ RowScale scale_of_row(const RawPack<T> (&x)[Place::kPacks], int width, float eps,
                                                 float* scratch) {
  float sum[1] = {0.0F};
#pragma unroll
  for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
    for (int i = 0; i < kPack; ++i) sum[0] += x[p].get(i);
  }
  row_sums<Place>(sum, scratch);
  RowScale row;
  row.mean = sum[0] / static_cast<float>(width);
  sum[0] = 0.0F;
#pragma unroll
  for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const float off = Place::column(p) + i < width ? x[p].get(i) - row.mean : 0.0F;
      sum[0] = fmaf(off, off, sum[0]);
    }
  }
  row_sums<Place>(sum, scratch);
  row.r = 1.0F / sqrtf(sum[0] / static_cast<float>(width) + eps);
  return row;
}

template <class T, class Place>
__global__ void __launch_bounds__(Place::kBlock, Place::at_once(2)) layer_norm_kernel(LayerNorm norm) {
  __shared__ float scratch[Place::kWarps];
  float weight[Place::kPacks][kPack];
  float bias[Place::kPacks][kPack];
  load_weights<Place>(norm.weight, norm.width, weight);
  load_weights<Place>(norm.bias, norm.width, bias);
  const std::int64_t step = std::int64_t{gridDim.x} * Place::kRows;
  for (std::int64_t first = std::int64_t{blockIdx.x} * Place::kRows; first < norm.rows; first += step) {
    const std::int64_t row = first + Place::slot();
    const int width = row < norm.rows ? norm.width : 0;
    RawPack<T> x[Place::kPacks];
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const int column = Place::column(p);
      x[p] = load_pack<T>(norm.x, row * norm.x.stride + column, pack_count(width, column));
    }
    const RowScale scale = scale_of_row<T, Place>(x, norm.width, norm.eps, scratch);
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const int column = Place::column(p);
      float y[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) y[i] = fmaf(weight[p][i], (x[p].get(i) - scale.mean) * scale.r, bias[p][i]);
      store_pack<T>(norm.y, row * norm.y.stride + column, pack_count(width, column), y);
    }
  }
}

struct LayerNormBackward {
  RowTensor x, dy;
  GradientTensor dx;
  const float* weight;
  float* dweight;  // partial sums (ranges, width), or null
  float* dbias;
  std::int64_t rows, rows_of_range;
  int width;
  float eps;
};

// One block, one range of rows. With g = dy * weight: dx = r * (g - mean(g) - normed * mean(g * normed)).
template <class T, class Place>
__global__ void __launch_bounds__(Place::kBlock, Place::at_once(2)) layer_norm_backward_kernel(LayerNormBackward norm) {
  __shared__ float scratch[2 * Place::kWarps];
  float weight[Place::kPacks][kPack];
  float dweight[Place::kPacks][kPack]{};
  float dbias[Place::kPacks][kPack]{};
  load_weights<Place>(norm.weight, norm.width, weight);
  const std::int64_t begin = blockIdx.x * norm.rows_of_range;
  const std::int64_t end = min(begin + norm.rows_of_range, norm.rows);
  for (std::int64_t first = begin; first < end; first += Place::kRows) {
    const std::int64_t row = first + Place::slot();
    const int width = row < end ? norm.width : 0;
    RawPack<T> x[Place::kPacks];
    RawPack<T> dy[Place::kPacks];
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const int column = Place::column(p);
      const int count = pack_count(width, column);
      x[p] = load_pack<T>(norm.x, row * norm.x.stride + column, count);
      dy[p] = load_pack<T>(norm.dy, row * norm.dy.stride + column, count);
    }
    const RowScale scale = scale_of_row<T, Place>(x, norm.width, norm.eps, scratch);
    const auto normed = [&](int p, int i) { return (x[p].get(i) - scale.mean) * scale.r; };
    float sums[2] = {0.0F, 0.0F};
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float g = dy[p].get(i) * weight[p][i];  // 0 beyond the width
        sums[0] += g;
        sums[1] = fmaf(g, normed(p, i), sums[1]);
      }
    }
    row_sums<Place>(sums, scratch);
    const float mean_g = sums[0] / static_cast<float>(norm.width);
    const float mean_product = sums[1] / static_cast<float>(norm.width);
#pragma unroll
    for (int p = 0; p < Place::kPacks; ++p) {
      const int column = Place::column(p);
      float dx[kPack];
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float of_y = dy[p].get(i);
        dweight[p][i] = width > 0 ? fmaf(of_y, normed(p, i), dweight[p][i]) : dweight[p][i];
        dbias[p][i] += of_y;
        dx[i] = scale.r * fmaf(-normed(p, i), mean_product, fmaf(of_y, weight[p][i], -mean_g));
      }
      if (norm.dx.rows.data != nullptr)
        store_gradient<T>(norm.dx, row * norm.dx.rows.stride + column, pack_count(width, column), dx);
    }
  }
  const std::int64_t partial = std::int64_t{blockIdx.x} * norm.width;
  if (norm.dweight != nullptr) store_channel_sums<Place>(dweight, norm.width, norm.dweight + partial);
  if (norm.dbias != nullptr) store_channel_sums<Place>(dbias, norm.width, norm.dbias + partial);
}

}  // namespace

void layer_norm(Context& context, const ops::LayerNormArgs& args) {
  const char* name = "layer_norm";
  const LayerNorm norm{.x = row_tensor(args.x_td),
                       .y = row_tensor(args.y_td),
                       .weight = device_data<float>(args.weight_d),
                       .bias = device_data<float>(args.bias_d),
                       .rows = args.x_td.size(0),
                       .width = checked_cast<int>(args.x_td.size(1)),
                       .eps = static_cast<float>(args.eps)};
  with_row_kernel<4>(norm.width, name, {args.x_td, args.y_td}, [&](auto element, auto place) {
    using Place = decltype(place);
    const std::int64_t most = std::int64_t{context.limits().multiprocessors} * 16;
    const std::int64_t blocks = std::min(ceil_div(norm.rows, std::int64_t{Place::kRows}), most);
    layer_norm_kernel<decltype(element), Place>
        <<<checked_grid(blocks, name), Place::kBlock, 0, context.stream()>>>(norm);
    check_launch(name);
  });
}

void layer_norm_backward(Context& context, const ops::LayerNormBackwardArgs& args) {
  if (!args.dx_td && !args.dweight_d && !args.dbias_d) return;
  const char* name = "layer_norm_backward";
  const Workspace::Scope scope(context.scratch());
  const std::int64_t width = args.x_td.size(1);
  const RowRanges ranges = plan_row_ranges(args.x_td.size(0));
  const auto take_partials = [&](const View& wanted) {
    return wanted ? device_data<float>(context.scratch().take(DType::f32, {ranges.count, width})) : nullptr;
  };
  const LayerNormBackward norm{.x = row_tensor(args.x_td),
                               .dy = row_tensor(args.dy_td),
                               .dx = {row_tensor(args.dx_td), args.accumulate_dx},
                               .weight = device_data<float>(args.weight_d),
                               .dweight = take_partials(args.dweight_d),
                               .dbias = take_partials(args.dbias_d),
                               .rows = args.x_td.size(0),
                               .rows_of_range = ranges.rows,
                               .width = checked_cast<int>(width),
                               .eps = static_cast<float>(args.eps)};
  with_row_kernel<4>(width, name, {args.x_td, args.dy_td, args.dx_td}, [&](auto element, auto place) {
    using Place = decltype(place);
    layer_norm_backward_kernel<decltype(element), Place>
        <<<checked_grid(ranges.count, name), Place::kBlock, 0, context.stream()>>>(norm);
    check_launch(name);
  });
  const auto add = [&](const float* partials, const View& out) {
    if (partials == nullptr) return;
    add_partial_sums(context,
                     {.partials = partials, .count = ranges.count, .columns = width, .out = device_data<float>(out)});
  };
  add(norm.dweight, args.dweight_d);
  add(norm.dbias, args.dbias_d);
}

}  // namespace strandline::cuda
