// Elements of fp32 and bf16 tensors in device code, and the unfolding of element types at the seam.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "core/base/error.hpp"
#include "core/tensor/view.hpp"

namespace strandline::cuda {

using bf16 = __nv_bfloat16;

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(bf16 value) { return __bfloat162float(value); }

template <class T>
__device__ __forceinline__ T from_float(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return __float2bfloat16_rn(value);
  }
}

/// Neighbouring elements that one thread moves at once.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Pack {
  T item[kCount];
};

/// The address must be a multiple of the pack's size, or of 16 bytes.
template <int kCount, class T>
__device__ __forceinline__ Pack<T, kCount> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, kCount>*>(from);
}
template <int kCount, class T>
__device__ __forceinline__ void store_pack(const Pack<T, kCount>& pack, T* to) {
  *reinterpret_cast<Pack<T, kCount>*>(to) = pack;
}

/// A view without its host parts: what a kernel takes by value. Strides count elements; the last axis is dense.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t stride = 0;

  __device__ __forceinline__ T* row(std::int64_t index) const { return data + index * stride; }
  __host__ __device__ explicit operator bool() const { return data != nullptr; }
};

/// Element type of device code for a seam type.
template <class T>
T* device_data(const View& view) {
  return static_cast<T*>(view.data());
}
template <class T>
const T* device_data(const ConstView& view) {
  return static_cast<const T*>(view.data());
}

/// Rows of a rank-2 (or longer: axis 0 against the rest) view; absent views give absent rows.
template <class T>
Rows<T> rows_of(const View& view) {
  return view ? Rows<T>{device_data<T>(view), view.stride(0)} : Rows<T>{};
}
template <class T>
Rows<const T> rows_of(const ConstView& view) {
  return view ? Rows<const T>{device_data<T>(view), view.stride(0)} : Rows<const T>{};
}

/// Calls body(T{}) with T = float or bf16, as `dtype` says. @throws ContractError for any other type.
template <class Body>
void with_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32: return body(float{});
    case DType::bf16: return body(bf16{});
    default: throw ContractError("cuda: no kernel for elements of " + std::string(name_of(dtype)));
  }
}

/// body(A{}, B{}) and body(A{}, B{}, C{}).
template <class Body>
void with_types(DType a, DType b, const Body& body) {
  with_type(a, [&](auto ta) { with_type(b, [&](auto tb) { body(ta, tb); }); });
}
template <class Body>
void with_types(DType a, DType b, DType c, const Body& body) {
  with_type(a, [&](auto ta) { with_types(b, c, [&](auto tb, auto tc) { body(ta, tb, tc); }); });
}

}  // namespace strandline::cuda
