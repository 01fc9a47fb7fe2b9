// Elementwise kernels and sums of the simd table. Included only by simd_<isa>.cpp.
#pragma once

#include "core/cpu/simd/vec.hpp"

namespace strandline::cpu {
namespace {

template <int W>
struct Elementwise {
  using V = Vec<W>;

  static void exp(std::int64_t n, const float* x, float* y) {
    map<W>(
        n, y, [](V v) { return cpu::exp<W>(v); }, x);
  }
  static void sigmoid(std::int64_t n, const float* x, float* y) {
    map<W>(
        n, y, [](V v) { return cpu::sigmoid<W>(v); }, x);
  }
  static void silu(std::int64_t n, const float* x, float* y) {
    map<W>(
        n, y, [](V v) { return v * cpu::sigmoid<W>(v); }, x);
  }
  static void silu_backward(std::int64_t n, const float* x, const float* dy, float* dx) {
    map<W>(
        n, dx, [](V v, V g) { return g * cpu::silu_slope<W>(v); }, x, dy);
  }
  static void softplus(std::int64_t n, const float* x, float* y) {
    map<W>(
        n, y, [](V v) { return cpu::softplus<W>(v); }, x);
  }
  static void add(std::int64_t n, const float* x, float* y) {
    map<W>(
        n, y, [](V a, V b) { return b + a; }, x, static_cast<const float*>(y));
  }
  static void add_scaled(std::int64_t n, float a, const float* x, float* y) {
    map<W>(
        n, y, [a](V v, V old) { return old + a * v; }, x, static_cast<const float*>(y));
  }
  static void scale(std::int64_t n, float a, const float* x, float* y) {
    map<W>(
        n, y, [a](V v) { return a * v; }, x);
  }
  static void multiply(std::int64_t n, const float* a, const float* b, float* y) {
    map<W>(
        n, y, [](V u, V v) { return u * v; }, a, b);
  }
  static void multiply_add(std::int64_t n, const float* a, const float* b, float* y) {
    map<W>(
        n, y, [](V u, V v, V old) { return old + u * v; }, a, b, static_cast<const float*>(y));
  }

  // Four chains of W lanes hide the latency of the addition.
  static float dot(std::int64_t n, const float* a, const float* b) {
    V s0{}, s1{}, s2{}, s3{};
    std::int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
      s0 += load<W>(a + i) * load<W>(b + i);
      s1 += load<W>(a + i + W) * load<W>(b + i + W);
      s2 += load<W>(a + i + 2 * W) * load<W>(b + i + 2 * W);
      s3 += load<W>(a + i + 3 * W) * load<W>(b + i + 3 * W);
    }
    for (; i + W <= n; i += W) s0 += load<W>(a + i) * load<W>(b + i);
    if (i < n) s1 += load_part<W>(a + i, n - i, 0.0F) * load_part<W>(b + i, n - i, 0.0F);
    return sum_lanes<W>((s0 + s1) + (s2 + s3));
  }

  static float sum(std::int64_t n, const float* x) {
    V s0{}, s1{};
    std::int64_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
      s0 += load<W>(x + i);
      s1 += load<W>(x + i + W);
    }
    for (; i + W <= n; i += W) s0 += load<W>(x + i);
    if (i < n) s1 += load_part<W>(x + i, n - i, 0.0F);
    return sum_lanes<W>(s0 + s1);
  }

  static double sum_of_squares(std::int64_t n, const float* x) {
    DoubleVec<W> total{};
    std::int64_t i = 0;
    for (; i + W <= n; i += W) {
      const auto v = __builtin_convertvector(load<W>(x + i), DoubleVec<W>);
      total += v * v;
    }
    if (i < n) {
      const auto v = __builtin_convertvector(load_part<W>(x + i, n - i, 0.0F), DoubleVec<W>);
      total += v * v;
    }
    return sum_lanes<W>(total);
  }
};

}  // namespace
}  // namespace strandline::cpu
