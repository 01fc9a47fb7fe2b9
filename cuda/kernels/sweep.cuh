// Element-wise kernels: one pass over rows of channels, a pack of four at a time, neighbouring threads on neighbouring
// packs.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/checked.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/context.hpp"
#include "cuda/kernels/packs.cuh"

namespace strandline::cuda {

/// Rows of `width` elements, the last of `last_width`.
struct Sweep {
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t last_width = 0;
};

inline constexpr int kSweepThreads = 256;

/// Calls work(row, column, count) for every pack.
template <class Work>
__global__ void __launch_bounds__(kSweepThreads) sweep_kernel(Sweep sweep, Work work) {
  const std::int64_t row_step = std::int64_t{gridDim.x} * blockDim.y;
  const std::int64_t column_step = std::int64_t{blockDim.x} * kPack;
  for (std::int64_t row = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < sweep.rows; row += row_step) {
    const std::int64_t width = row == sweep.rows - 1 ? sweep.last_width : sweep.width;
    for (std::int64_t column = std::int64_t{threadIdx.x} * kPack; column < width; column += column_step) {
      work(row, column, pack_count(width, column));
    }
  }
}

template <class Work>
void launch_sweep(Context& context, const Sweep& sweep, const Work& work, const char* name) {
  if (sweep.rows == 0 || sweep.width == 0) return;
  unsigned across = 1;
  while (across < kSweepThreads && std::int64_t{across} * kPack < sweep.width) across *= 2;
  const dim3 block(across, kSweepThreads / across);
  const std::int64_t most = std::int64_t{context.limits().multiprocessors} * 32;
  const std::int64_t blocks = std::min(ceil_div(sweep.rows, std::int64_t{block.y}), most);
  sweep_kernel<<<checked_grid(blocks, name), block, 0, context.stream()>>>(sweep, work);
  check_launch(name);
}

/// The same rows of up to three tensors, laid out for a sweep: where all are dense, cut into rows of one length
/// whatever their shape.
struct Plane {
  Sweep sweep;
  RowTensor a, b, c;
  bool aligned = false;
};

/// Calls body(plane) for planes that together hold every element of tensors of one shape. Axes that lie one after the
/// other in all tensors become one; of those that are left, the outer ones are looped over here.
template <class Body>
void for_each_plane(const ConstView& a, const ConstView& b, const ConstView& c, const Body& body) {
  const ConstView* tensors[] = {&a, &b, &c};
  const auto stride_is = [&](int axis, std::int64_t stride) {
    return a.size(axis) == 1 || std::all_of(tensors, tensors + 3, [&](const ConstView* tensor) {
             return !*tensor || tensor->stride(axis) == stride;
           });
  };
  if (a.elements() == 0) return;
  int axis = a.rank() - 1;
  std::int64_t width = axis < 0 ? 1 : a.size(axis);
  for (; axis > 0 && stride_is(axis - 1, width); --axis) width *= a.size(axis - 1);
  if (axis > 1) {
    const auto part = [&](const ConstView& whole, std::int64_t i) {
      if (!whole) return ConstView{};
      Shape shape;
      Shape strides;
      switch (whole.rank()) {
        case 3:
          shape = {whole.size(1), whole.size(2)};
          strides = {whole.stride(1), whole.stride(2)};
          break;
        default:
          shape = {whole.size(1), whole.size(2), whole.size(3)};
          strides = {whole.stride(1), whole.stride(2), whole.stride(3)};
          break;
      }
      const auto offset = i * whole.stride(0) * static_cast<std::int64_t>(size_of(whole.dtype()));
      return ConstView(static_cast<const std::byte*>(whole.data()) + offset, whole.dtype(), shape, strides,
                       whole.device());
    };
    for (std::int64_t i = 0; i < a.size(0); ++i) for_each_plane(part(a, i), part(b, i), part(c, i), body);
    return;
  }
  constexpr std::int64_t kFoldedWidth = 2048;
  const bool folds = axis <= 0;
  Plane plane;
  plane.sweep = folds ? Sweep{ceil_div(width, kFoldedWidth), std::min(width, kFoldedWidth),
                              width - (ceil_div(width, kFoldedWidth) - 1) * kFoldedWidth}
                      : Sweep{a.size(0), width, width};
  plane.aligned = width % kPack == 0;
  RowTensor* rows[] = {&plane.a, &plane.b, &plane.c};
  for (int i = 0; i < 3; ++i) {
    if (!*tensors[i]) continue;
    rows[i]->data = const_cast<void*>(tensors[i]->data());
    rows[i]->stride = folds ? kFoldedWidth : tensors[i]->stride(0);
    rows[i]->is_bf16 = tensors[i]->dtype() == DType::bf16;
    const auto address = reinterpret_cast<std::uintptr_t>(tensors[i]->data());
    plane.aligned =
        plane.aligned && address % (kPack * size_of(tensors[i]->dtype())) == 0 && rows[i]->stride % kPack == 0;
  }
  body(plane);
}

/// Calls body(T{}) for the plane's element type: AnyElement where types differ or packs are not aligned.
template <class Body>
void with_plane_type(const Plane& plane, const Body& body) {
  int present = 0;
  int in_bf16 = 0;
  for (const RowTensor* tensor : {&plane.a, &plane.b, &plane.c}) {
    present += tensor->data != nullptr ? 1 : 0;
    in_bf16 += tensor->data != nullptr && tensor->is_bf16 ? 1 : 0;
  }
  if (plane.aligned && in_bf16 == 0) return body(float{});
  if (plane.aligned && in_bf16 == present) return body(bf16{});
  body(AnyElement{});
}

}  // namespace strandline::cuda
