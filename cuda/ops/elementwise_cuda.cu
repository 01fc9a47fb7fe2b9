#include "cuda/ops/elementwise_cuda.hpp"

#include <array>

#include "core/base/philox.hpp"
#include "cuda/kernels/sweep.cuh"

namespace strandline::cuda {
namespace {

template <class T>
struct Add {
  RowTensor x, y;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const RawPack<T> a = load_pack<T>(x, row * x.stride + column, count);
    const RawPack<T> b = load_pack<T>(y, row * y.stride + column, count);
    float sum[kPack];
#pragma unroll
    for (int i = 0; i < kPack; ++i) sum[i] = b.get(i) + a.get(i);
    store_pack<T>(y, row * y.stride + column, count, sum);
  }
};

template <class T>
struct Multiply {
  RowTensor x, y;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const RawPack<T> a = load_pack<T>(x, row * x.stride + column, count);
    const RawPack<T> b = load_pack<T>(y, row * y.stride + column, count);
    float product[kPack];
#pragma unroll
    for (int i = 0; i < kPack; ++i) product[i] = b.get(i) * a.get(i);
    store_pack<T>(y, row * y.stride + column, count, product);
  }
};

// A bf16 taken to fp32 and back keeps its bits, except that a NaN becomes the one that the card writes.
template <class T>
struct ReverseChannels {
  RowTensor x, y;
  std::int64_t width;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const RawPack<T> from = load_pack<T>(x, row * x.stride + width - column - count, count);
    float reversed[kPack]{};
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
#pragma unroll
      for (int j = 0; j < kPack; ++j) {
        if (i + j == count - 1) reversed[i] = from.get(j);
      }
    }
    store_pack<T>(y, row * y.stride + column, count, reversed);
  }
};

template <class T>
struct Dropout {
  RowTensor x, y;
  std::int64_t first_row, width;
  std::uint64_t seed, stream;
  double p;
  float share_kept;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const RawPack<T> from = load_pack<T>(x, row * x.stride + column, count);
    const auto first = static_cast<std::uint64_t>((first_row + row) * width + column);
    std::array<std::uint32_t, 4> words = philox(seed, stream, first / 4);
    float kept[kPack];
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const std::uint64_t draw = first + static_cast<std::uint64_t>(i);
      if (i > 0 && draw % 4 == 0) words = philox(seed, stream, draw / 4);
      const auto place = static_cast<unsigned>(draw % 4);
      const std::uint32_t word = place < 2 ? (place == 0 ? words[0] : words[1]) : (place == 2 ? words[2] : words[3]);
      kept[i] = static_cast<double>(word) * 0x1p-32 >= p ? from.get(i) / share_kept : 0.0F;
    }
    store_pack<T>(y, row * y.stride + column, count, kept);
  }
};

template <template <class> class Work>
void combine(Context& context, const ConstView& x, const View& y, const char* name) {
  for_each_plane(x, y, {}, [&](const Plane& plane) {
    with_plane_type(plane, [&](auto element) {
      launch_sweep(context, plane.sweep, Work<decltype(element)>{plane.a, plane.b}, name);
    });
  });
}

}  // namespace

void add(Context& context, ConstView x, View y) { combine<Add>(context, x, y, "add"); }

void multiply(Context& context, ConstView x, View y) { combine<Multiply>(context, x, y, "multiply"); }

void reverse_channels(Context& context, ConstView x_td, View y_td) {
  const std::int64_t width = x_td.size(1);
  with_pack_type(width, {x_td, y_td}, [&](auto element) {
    launch_sweep(context, {x_td.size(0), width, width},
                 ReverseChannels<decltype(element)>{row_tensor(x_td), row_tensor(y_td), width}, "reverse_channels");
  });
}

void dropout(Context& context, const ops::DropoutArgs& args) {
  const std::int64_t width = args.x_td.size(1);
  with_pack_type(width, {args.x_td, args.y_td}, [&](auto element) {
    const Dropout<decltype(element)> work{.x = row_tensor(args.x_td),
                                          .y = row_tensor(args.y_td),
                                          .first_row = args.first_row,
                                          .width = width,
                                          .seed = args.seed,
                                          .stream = args.stream,
                                          .p = args.p,
                                          .share_kept = static_cast<float>(1.0 - args.p)};
    launch_sweep(context, {args.x_td.size(0), width, width}, work, "dropout");
  });
}

}  // namespace strandline::cuda
