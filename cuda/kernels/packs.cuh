// Four neighbouring channels at a time: how the row-wise kernels read and write tensors of either element type.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <initializer_list>

#include "core/tensor/view.hpp"
#include "cuda/base/element.cuh"

namespace strandline::cuda {

/// Channels that one thread moves at once: 16 bytes of fp32, 8 of bf16.
inline constexpr int kPack = 4;

/// A matrix of either element type. Strides count elements; the last axis is dense. Absent: data is null.
struct RowTensor {
  void* data = nullptr;
  std::int64_t stride = 0;
  bool is_bf16 = false;
};

inline RowTensor row_tensor(const ConstView& view) {
  if (!view) return {};
  return {const_cast<void*>(view.data()), view.stride(0), view.dtype() == DType::bf16};
}

/// Element type of a kernel that asks at run time and moves one element at a time: for every mixture of types and for
/// rows that are not aligned. float and bf16 in its place mean: all packs are whole and aligned.
struct AnyElement {};

/// Whether every pack of every row (counted from its first column) is whole and aligned to its own size.
inline bool packs_are_aligned(std::int64_t width, std::initializer_list<ConstView> tensors) {
  if (width % kPack != 0) return false;
  for (const ConstView& tensor : tensors) {
    if (!tensor) continue;
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.data());
    if (address % (kPack * size_of(tensor.dtype())) != 0) return false;
    if (tensor.size(0) > 1 && tensor.stride(0) % kPack != 0) return false;
  }
  return true;
}

/// Whether all that are present have this element type.
inline bool all_are(DType dtype, std::initializer_list<ConstView> tensors) {
  for (const ConstView& tensor : tensors) {
    if (tensor && tensor.dtype() != dtype) return false;
  }
  return true;
}

/// Calls body(T{}): float or bf16 where every tensor is of that type and its packs are aligned, else AnyElement.
template <class Body>
void with_pack_type(std::int64_t width, std::initializer_list<ConstView> tensors, const Body& body) {
  const bool aligned = packs_are_aligned(width, tensors);
  if (aligned && all_are(DType::bf16, tensors)) return body(bf16{});
  if (aligned && all_are(DType::f32, tensors)) return body(float{});
  body(AnyElement{});
}

__device__ __forceinline__ float load_element(const RowTensor& tensor, std::int64_t offset) {
  return tensor.is_bf16 ? to_float(static_cast<const bf16*>(tensor.data)[offset])
                        : static_cast<const float*>(tensor.data)[offset];
}

__device__ __forceinline__ void store_element(const RowTensor& tensor, std::int64_t offset, float value) {
  if (tensor.is_bf16) {
    static_cast<bf16*>(tensor.data)[offset] = __float2bfloat16_rn(value);
  } else {
    static_cast<float*>(tensor.data)[offset] = value;
  }
}

/// A pack as it lies in memory: loads can be under way without a register per number for bf16.
template <class T>
struct RawPack {
  float item[kPack];

  __device__ __forceinline__ float get(int i) const { return item[i]; }
};

template <>
struct RawPack<bf16> {
  std::uint32_t pair[2];

  // A bf16 is the upper half of the float of the same value.
  __device__ __forceinline__ float get(int i) const {
    return __uint_as_float(i % 2 == 0 ? pair[i / 2] << 16U : pair[i / 2] & 0xffff0000U);
  }
};

/// Channels of the row's pack at `column` that exist: 0 to 4.
__device__ __forceinline__ int pack_count(std::int64_t width, std::int64_t column) {
  const std::int64_t left = width - column;
  return left >= kPack ? kPack : (left > 0 ? static_cast<int>(left) : 0);
}

/// `count` (0 to 4) elements from `offset` on; zeros for the rest.
template <class T>
__device__ __forceinline__ RawPack<T> load_pack(const RowTensor& tensor, std::int64_t offset, int count) {
  RawPack<T> pack;
  if constexpr (std::is_same_v<T, float>) {
    const float4 all = count > 0 ? *reinterpret_cast<const float4*>(static_cast<const float*>(tensor.data) + offset)
                                 : make_float4(0.0F, 0.0F, 0.0F, 0.0F);
    pack.item[0] = all.x;
    pack.item[1] = all.y;
    pack.item[2] = all.z;
    pack.item[3] = all.w;
  } else if constexpr (std::is_same_v<T, bf16>) {
    const uint2 all = count > 0 ? *reinterpret_cast<const uint2*>(static_cast<const bf16*>(tensor.data) + offset)
                                : make_uint2(0U, 0U);
    pack.pair[0] = all.x;
    pack.pair[1] = all.y;
  } else {
#pragma unroll
    for (int i = 0; i < kPack; ++i) pack.item[i] = i < count ? load_element(tensor, offset + i) : 0.0F;
  }
  return pack;
}

__device__ __forceinline__ std::uint32_t bf16_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

/// The first `count` (0 to 4) of the values.
template <class T>
__device__ __forceinline__ void store_pack(const RowTensor& tensor, std::int64_t offset, int count,
                                           const float (&value)[kPack]) {
  if constexpr (std::is_same_v<T, float>) {
    if (count > 0) {
      *reinterpret_cast<float4*>(static_cast<float*>(tensor.data) + offset) =
          make_float4(value[0], value[1], value[2], value[3]);
    }
  } else if constexpr (std::is_same_v<T, bf16>) {
    if (count > 0) {
      *reinterpret_cast<uint2*>(static_cast<bf16*>(tensor.data) + offset) =
          make_uint2(bf16_pair(value[0], value[1]), bf16_pair(value[2], value[3]));
    }
  } else {
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (i < count) store_element(tensor, offset + i, value[i]);
    }
  }
}

/// A gradient that is written or, where its contract says so, added to what is there.
struct GradientTensor {
  RowTensor rows;
  bool accumulate = false;
};

/// The first `count` (0 to 4) of the values.
template <class T>
__device__ __forceinline__ void store_gradient(const GradientTensor& to, std::int64_t offset, int count,
                                               float (&value)[kPack]) {
  if (to.accumulate) {
    const RawPack<T> before = load_pack<T>(to.rows, offset, count);
#pragma unroll
    for (int i = 0; i < kPack; ++i) value[i] = before.get(i) + value[i];
  }
  store_pack<T>(to.rows, offset, count, value);
}

}  // namespace strandline::cuda
