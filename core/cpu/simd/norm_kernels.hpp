// Row kernels of the norms and their gates, and the optimiser's step. Included only by simd_<isa>.cpp.
#pragma once

#include "core/cpu/simd/simd.hpp"
#include "core/cpu/simd/vec.hpp"

namespace strandline::cpu {
namespace {

template <int W>
struct Norm {
  using V = Vec<W>;

  static float dot3(std::int64_t n, const float* a, const float* b, const float* c) {
    V s0{}, s1{};
    std::int64_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
      s0 += load<W>(a + i) * load<W>(b + i) * load<W>(c + i);
      s1 += load<W>(a + i + W) * load<W>(b + i + W) * load<W>(c + i + W);
    }
    for (; i + W <= n; i += W) s0 += load<W>(a + i) * load<W>(b + i) * load<W>(c + i);
    if (i < n) {
      const std::int64_t rest = n - i;
      s1 += load_part<W>(a + i, rest, 0.0F) * load_part<W>(b + i, rest, 0.0F) * load_part<W>(c + i, rest, 0.0F);
    }
    return sum_lanes<W>(s0 + s1);
  }

  static void scaled_product(std::int64_t n, float r, const float* a, const float* b, float* y) {
    map<W>(
        n, y, [r](V u, V v) { return u * v * r; }, a, b);
  }

  static void add_scaled_product(std::int64_t n, float r, const float* a, const float* b, float* y) {
    map<W>(
        n, y, [r](V u, V v, V old) { return old + u * v * r; }, a, b, static_cast<const float*>(y));
  }

  static void rms_dx(std::int64_t n, float r, float q, const float* v, const float* g, const float* weight, float* dx,
                     bool accumulate) {
    const auto value = [r, q](V x, V gradient, V w) { return gradient * w * r - x * q; };
    if (accumulate) {
      map<W>(
          n, dx, [value](V x, V gradient, V w, V old) { return old + value(x, gradient, w); }, v, g, weight,
          static_cast<const float*>(dx));
    } else {
      map<W>(n, dx, value, v, g, weight);
    }
  }

  static void gate(std::int64_t n, const float* x, const float* z, float* y) {
    map<W>(
        n, y, [](V v, V gate) { return v * (gate * cpu::sigmoid<W>(gate)); }, x, z);
  }

  static void gate_slope(std::int64_t n, const float* dy, const float* x, const float* z, float* dz) {
    map<W>(
        n, dz, [](V g, V v, V gate) { return g * v * cpu::silu_slope<W>(gate); }, dy, x, z);
  }
};

template <int W>
struct Optimiser {
  using V = Vec<W>;

  static void adamw(std::int64_t n, const AdamwFactors& f, const float* grad, float* param, float* m, float* v) {
    const auto m_next = [f](V g, V old) { return old * f.beta1 + g * f.grad_scale * f.one_minus_beta1; };
    const auto v_next = [f](V g, V old) {
      const V scaled = g * f.grad_scale;
      return old * f.beta2 + scaled * scaled * f.one_minus_beta2;
    };
    const auto param_next = [f](V p, V m_now, V v_now) {
      const V direction = m_now * f.m_correction / (sqrt<W>(v_now * f.v_correction) + f.eps);
      return p - f.learning_rate * (direction + p * f.weight_decay);
    };
    map<W>(n, m, m_next, grad, static_cast<const float*>(m));
    map<W>(n, v, v_next, grad, static_cast<const float*>(v));
    map<W>(n, param, param_next, static_cast<const float*>(param), static_cast<const float*>(m),
           static_cast<const float*>(v));
  }
};

}  // namespace
}  // namespace strandline::cpu
