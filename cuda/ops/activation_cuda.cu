#include "cuda/ops/activation_cuda.hpp"

#include "cuda/kernels/sweep.cuh"

namespace strandline::cuda {
namespace {

using ops::ActivationKind;

constexpr float kInverseSqrt2 = 0.70710678118654752F;
constexpr float kInverseSqrt2Pi = 0.39894228040143268F;

/// The normal distribution function; erfc keeps the last bits of its lower tail.
__device__ __forceinline__ float phi(float x) { return 0.5F * erfcf(-x * kInverseSqrt2); }

/// Rounded correctly at each step, unlike the one inside the layer's kernels: nothing else happens here.
__device__ __forceinline__ float exact_sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

__device__ __forceinline__ float value_of(ActivationKind kind, float x) {
  switch (kind) {
    case ActivationKind::relu: return x < 0.0F ? 0.0F : x;
    case ActivationKind::gelu: return x * phi(x);
    case ActivationKind::tanh: return tanhf(x);
    default: return exact_sigmoid(x);
  }
}

__device__ __forceinline__ float slope_of(ActivationKind kind, float x) {
  switch (kind) {
    case ActivationKind::relu: return x > 0.0F ? 1.0F : 0.0F;
    case ActivationKind::gelu: return fmaf(x, expf(-0.5F * x * x) * kInverseSqrt2Pi, phi(x));
    case ActivationKind::tanh: {
      const float y = tanhf(x);
      return fmaf(-y, y, 1.0F);
    }
    default: {
      const float y = exact_sigmoid(x);
      return y * (1.0F - y);
    }
  }
}

template <class T>
struct Forward {
  RowTensor x, y;
  ActivationKind kind;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const RawPack<T> from = load_pack<T>(x, row * x.stride + column, count);
    float value[kPack];
#pragma unroll
    for (int i = 0; i < kPack; ++i) value[i] = value_of(kind, from.get(i));
    store_pack<T>(y, row * y.stride + column, count, value);
  }
};

template <class T>
struct Backward {
  RowTensor x, dy, dx;
  ActivationKind kind;

  __device__ void operator()(std::int64_t row, std::int64_t column, int count) const {
    const RawPack<T> from = load_pack<T>(x, row * x.stride + column, count);
    const RawPack<T> gradient = load_pack<T>(dy, row * dy.stride + column, count);
    float value[kPack];
#pragma unroll
    for (int i = 0; i < kPack; ++i) value[i] = gradient.get(i) * slope_of(kind, from.get(i));
    store_pack<T>(dx, row * dx.stride + column, count, value);
  }
};

}  // namespace

void activation(Context& context, const ops::ActivationArgs& args) {
  for_each_plane(args.x_td, args.y_td, {}, [&](const Plane& plane) {
    with_plane_type(plane, [&](auto element) {
      launch_sweep(context, plane.sweep, Forward<decltype(element)>{plane.a, plane.b, args.kind}, "activation");
    });
  });
}

void activation_backward(Context& context, const ops::ActivationBackwardArgs& args) {
  for_each_plane(args.x_td, args.dy_td, args.dx_td, [&](const Plane& plane) {
    with_plane_type(plane, [&](auto element) {
      launch_sweep(context, plane.sweep, Backward<decltype(element)>{plane.a, plane.b, plane.c, args.kind},
                   "activation_backward");
    });
  });
}

}  // namespace strandline::cuda
