#include "cuda/ops/attention_cuda.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/element.cuh"
#include "cuda/base/reduce.cuh"
#include "cuda/kernels/attention_kernels.cuh"
#include "cuda/kernels/packs.cuh"

namespace strandline::cuda {
namespace {

Heads heads_of(const ConstView& view_thp) {
  const auto place = reinterpret_cast<std::uintptr_t>(view_thp.data());
  return {.data = view_thp.data(),
          .token_stride = view_thp.stride(0),
          .head_stride = view_thp.stride(1),
          .is_bf16 = view_thp.dtype() == DType::bf16,
          .by_four = place % (4 * size_of(view_thp.dtype())) == 0 && view_thp.stride(0) % 4 == 0 &&
                     view_thp.stride(1) % 4 == 0};
}

HeadsOut heads_out_of(const View& view_thp) {
  if (!view_thp) return {};
  return {.data = view_thp.data(),
          .token_stride = view_thp.stride(0),
          .head_stride = view_thp.stride(1),
          .is_bf16 = view_thp.dtype() == DType::bf16};
}

/// Heads and columns go along y.
int blocks_along_y(const ops::AttentionArgs& args) {
  const std::int64_t heads = args.q_thp.size(1);
  const std::int64_t width = args.q_thp.size(2);
  constexpr std::int64_t kLargest = 65535;
  if (width > kLargest * kTile || heads > kLargest || heads * ceil_div(width, kTile) > kLargest) {
    throw ContractError("attention: " + std::to_string(heads) + " heads of " + std::to_string(width) +
                        " do not fit in one launch (65535 pieces of 64 columns). Use --device cpu");
  }
  return static_cast<int>(heads * ceil_div(width, kTile));
}

/// @returns slots for find_share
std::int64_t slots_for(std::span<const std::int64_t> own_begin) {
  return own_begin.back() / kTile + static_cast<std::int64_t>(own_begin.size()) - 1;
}

struct TileLaunch {
  const char* name;
  std::int64_t slots;
  int along_y;
  int tiles;
};

template <class Args>
void launch(Context& context, const TileLaunch& launch, void (*kernel)(Args), const Args& args) {
  const std::int64_t shared_bytes = std::int64_t{launch.tiles} * kTileFloats * static_cast<std::int64_t>(sizeof(float));
  allow_shared(kernel, shared_bytes, launch.name);
  const dim3 grid(checked_grid(launch.slots, launch.name), static_cast<unsigned>(launch.along_y));
  kernel<<<grid, kTileThreads, static_cast<std::size_t>(shared_bytes), context.stream()>>>(args);
  check_launch(launch.name);
}

View drops_of(Context& context, const ops::AttentionBackwardArgs& args) {
  const std::int64_t tokens = args.dy_thp.size(0);
  const std::int64_t heads = args.dy_thp.size(1);
  const View drop_th = context.scratch().take(DType::f32, {tokens, heads});
  if (tokens == 0) return drop_th;
  constexpr std::int64_t kPerBlock = kTileThreads / kWarp;
  attention_drop_kernel<<<checked_grid(ceil_div(tokens * heads, kPerBlock), "attention_backward: drop"), kTileThreads,
                          0, context.stream()>>>({.dy = heads_of(args.dy_thp),
                                                  .y = heads_of(args.forward.y_thp),
                                                  .drop_th = device_data<float>(drop_th),
                                                  .tokens = tokens,
                                                  .heads = static_cast<int>(heads),
                                                  .width = static_cast<int>(args.dy_thp.size(2))});
  check_launch("attention_backward: drop");
  return drop_th;
}

/// Short rows get a warp each, long ones eight: the choice depends on the length of a row alone.
constexpr std::int64_t kShortRow = 256;
constexpr int kLongRowThreads = 256;

template <int kThreads>
__device__ __forceinline__ float block_max(float value, float* scratch) {
  value = warp_max(value);
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
  __syncthreads();
  float largest = scratch[0];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) largest = fmaxf(largest, scratch[warp]);
  __syncthreads();
  return largest;
}

struct SoftmaxRows {
  RowTensor x, y;
  std::int64_t columns;
  float scale;
};

struct SoftmaxSlopes {
  RowTensor y, dy, dx;
  std::int64_t columns;
  float scale;
};

// A thread reads and writes its own columns only, so that y may be x.
template <int kThreads>
__global__ __launch_bounds__(kThreads) void softmax_kernel(const SoftmaxRows rows) {
  const auto scaled = [&rows](std::int64_t c) {
    return rows.scale * load_element(rows.x, blockIdx.x * rows.x.stride + c);
  };
  __shared__ float scratch[kThreads / kWarp];
  float largest = -INFINITY;
  for (std::int64_t c = threadIdx.x; c < rows.columns; c += kThreads) largest = fmaxf(largest, scaled(c));
  const float top = block_max<kThreads>(largest, scratch);
  float total = 0.0F;
  for (std::int64_t c = threadIdx.x; c < rows.columns; c += kThreads) total += expf(scaled(c) - top);
  total = block_sum<kThreads>(total, scratch);
  for (std::int64_t c = threadIdx.x; c < rows.columns; c += kThreads) {
    store_element(rows.y, blockIdx.x * rows.y.stride + c, expf(scaled(c) - top) / total);
  }
}

template <int kThreads>
__global__ __launch_bounds__(kThreads) void softmax_backward_kernel(const SoftmaxSlopes rows) {
  __shared__ float scratch[kThreads / kWarp];
  const auto y = [&rows](std::int64_t c) { return load_element(rows.y, blockIdx.x * rows.y.stride + c); };
  const auto dy = [&rows](std::int64_t c) { return load_element(rows.dy, blockIdx.x * rows.dy.stride + c); };
  float drop = 0.0F;
  for (std::int64_t c = threadIdx.x; c < rows.columns; c += kThreads) drop = fmaf(dy(c), y(c), drop);
  drop = block_sum<kThreads>(drop, scratch);
  for (std::int64_t c = threadIdx.x; c < rows.columns; c += kThreads) {
    store_element(rows.dx, blockIdx.x * rows.dx.stride + c, rows.scale * y(c) * (dy(c) - drop));
  }
}

}  // namespace

void attention(Context& context, const ops::AttentionArgs& args) {
  const View& log_sum = args.log_sum_th;
  launch(context,
         {.name = "attention", .slots = slots_for(args.query_begin), .along_y = blocks_along_y(args), .tiles = 3},
         attention_kernel,
         AttentionKernelArgs{.q = heads_of(args.q_thp),
                             .k = heads_of(args.k_uhp),
                             .v = heads_of(args.v_uhp),
                             .y = heads_out_of(args.y_thp),
                             .log_sum = log_sum ? device_data<float>(log_sum) : nullptr,
                             .log_sum_stride = log_sum ? log_sum.stride(0) : 0,
                             .sides = {.own_begin = context.offsets().on_device(args.query_begin),
                                       .other_begin = context.offsets().on_device(args.key_begin),
                                       .sequences = static_cast<std::int64_t>(args.query_begin.size()) - 1},
                             .heads = static_cast<int>(args.q_thp.size(1)),
                             .width = static_cast<int>(args.q_thp.size(2)),
                             .scale = static_cast<float>(args.scale)});
}

void attention_backward(Context& context, const ops::AttentionBackwardArgs& args) {
  const ops::AttentionArgs& forward = args.forward;
  const int along_y = blocks_along_y(forward);
  const Workspace::Scope scope(context.scratch());
  const View drop_th = drops_of(context, args);
  const std::int64_t* query_begin = context.offsets().on_device(forward.query_begin);
  const std::int64_t* key_begin = context.offsets().on_device(forward.key_begin);
  const auto sequences = static_cast<std::int64_t>(forward.query_begin.size()) - 1;
  AttentionBackwardKernelArgs kernel_args{
      .q = heads_of(forward.q_thp),
      .k = heads_of(forward.k_uhp),
      .v = heads_of(forward.v_uhp),
      .dy = heads_of(args.dy_thp),
      .log_sum = {device_data<float>(forward.log_sum_th), forward.log_sum_th.stride(0)},
      .drop = {device_data<float>(drop_th), drop_th.stride(0)},
      .dq = heads_out_of(args.dq_thp),
      .dk = heads_out_of(args.dk_uhp),
      .dv = heads_out_of(args.dv_uhp),
      .sides = {.own_begin = query_begin, .other_begin = key_begin, .sequences = sequences},
      .heads = static_cast<int>(forward.q_thp.size(1)),
      .width = static_cast<int>(forward.q_thp.size(2)),
      .scale = static_cast<float>(forward.scale)};
  if (args.dq_thp) {
    launch(context,
           {.name = "attention_backward: dq", .slots = slots_for(forward.query_begin), .along_y = along_y, .tiles = 4},
           attention_dq_kernel, kernel_args);
  }
  if (args.dk_uhp || args.dv_uhp) {
    kernel_args.sides = {.own_begin = key_begin, .other_begin = query_begin, .sequences = sequences};
    launch(
        context,
        {.name = "attention_backward: dk, dv", .slots = slots_for(forward.key_begin), .along_y = along_y, .tiles = 4},
        attention_dkv_kernel, kernel_args);
  }
}

void softmax(Context& context, const ops::SoftmaxArgs& args) {
  const std::int64_t columns = args.x_tc.size(1);
  const unsigned rows = checked_grid(args.x_tc.size(0), "softmax");
  const bool is_short = columns <= kShortRow;
  const auto kernel = is_short ? softmax_kernel<kWarp> : softmax_kernel<kLongRowThreads>;
  kernel<<<rows, is_short ? kWarp : kLongRowThreads, 0, context.stream()>>>(
      {row_tensor(args.x_tc), row_tensor(args.y_tc), columns, static_cast<float>(args.scale)});
  check_launch("softmax");
}

void softmax_backward(Context& context, const ops::SoftmaxBackwardArgs& args) {
  const std::int64_t columns = args.y_tc.size(1);
  const unsigned rows = checked_grid(args.y_tc.size(0), "softmax_backward");
  const bool is_short = columns <= kShortRow;
  const auto kernel = is_short ? softmax_backward_kernel<kWarp> : softmax_backward_kernel<kLongRowThreads>;
  kernel<<<rows, is_short ? kWarp : kLongRowThreads, 0, context.stream()>>>(
      {row_tensor(args.y_tc), row_tensor(args.dy_tc), row_tensor(args.dx_tc), columns, static_cast<float>(args.scale)});
  check_launch("softmax_backward");
}

}  // namespace strandline::cuda
