// Vectors of W floats on GCC's vector extensions: loads, tails, reductions, exp and log. Included only by
// simd_<isa>.cpp; the unnamed namespace gives each of them its own copy (see the rules in simd.hpp).
#pragma once

#include <cstdint>

namespace strandline::cpu {
namespace {

template <int W>
struct VecOf {
  using Float [[gnu::vector_size(W * 4)]] = float;
  using Int [[gnu::vector_size(W * 4)]] = std::int32_t;
  using Double [[gnu::vector_size(W * 8)]] = double;
  using Unaligned [[gnu::vector_size(W * 4), gnu::aligned(4), gnu::may_alias]] = float;
};
template <int W>
using Vec = typename VecOf<W>::Float;
template <int W>
using IntVec = typename VecOf<W>::Int;
template <int W>
using DoubleVec = typename VecOf<W>::Double;

template <int W>
[[gnu::always_inline]] inline Vec<W> load(const float* from) {
  return *reinterpret_cast<const typename VecOf<W>::Unaligned*>(from);
}

template <int W>
[[gnu::always_inline]] inline void store(float* to, Vec<W> value) {
  *reinterpret_cast<typename VecOf<W>::Unaligned*>(to) = value;
}

/// The first `count` lanes, `fill` in the others; count < W.
template <int W>
[[gnu::always_inline]] inline Vec<W> load_part(const float* from, std::int64_t count, float fill) {
  Vec<W> value = Vec<W>{} + fill;
  for (std::int64_t lane = 0; lane < count; ++lane) value[lane] = from[lane];
  return value;
}

template <int W>
[[gnu::always_inline]] inline void store_part(float* to, Vec<W> value, std::int64_t count) {
  for (std::int64_t lane = 0; lane < count; ++lane) to[lane] = value[lane];
}

template <int W>
[[gnu::always_inline]] inline Vec<W> splat(float value) {
  return Vec<W>{} + value;
}

template <int W>
[[gnu::always_inline]] inline IntVec<W> bits_of(Vec<W> value) {
  return reinterpret_cast<IntVec<W>>(value);
}

template <int W>
[[gnu::always_inline]] inline Vec<W> float_of(IntVec<W> bits) {
  return reinterpret_cast<Vec<W>>(bits);
}

/// Lanes summed in a balanced tree: (0 + W/2), (1 + W/2 + 1), ... then halves again.
template <int W, class V>
[[gnu::always_inline]] inline auto sum_lanes(V value) {
  for (int half = W / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) value[lane] += value[lane + half];
  }
  return value[0];
}

/// exp, within 2 ulp over the whole range; results below the smallest normal number are rounded to a subnormal one.
/// x = n log 2 + r with |r| <= log(2) / 2, by adding and taking away 1.5 * 2^23, which rounds to an integer; exp(r) by
/// the polynomial of Cephes' expf. The scale 2^n is applied in two factors, each of which is always a normal number.
template <int W>
[[gnu::always_inline]] inline Vec<W> exp(Vec<W> x) {
  constexpr float kRounder = 12582912.0F;
  const Vec<W> high = splat<W>(88.8F);
  const Vec<W> low = splat<W>(-104.5F);
  x = x > high ? high : x;  // comparisons with NaN are false: NaN stays
  x = x < low ? low : x;
  const Vec<W> shifted = x * 1.44269504088896341F + kRounder;
  const Vec<W> n = shifted - kRounder;
  const IntVec<W> exponent = bits_of<W>(shifted) - bits_of<W>(splat<W>(kRounder));
  Vec<W> r = x - n * 0.693359375F;
  r = r + n * 2.12194440e-4F;
  Vec<W> p = splat<W>(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const Vec<W> value = (p * (r * r) + r) + 1.0F;
  const IntVec<W> half = exponent >> 1;
  const Vec<W> scale_a = float_of<W>((half + 127) << 23);
  const Vec<W> scale_b = float_of<W>((exponent - half + 127) << 23);
  return value * scale_a * scale_b;
}

/// log(1 + u) for 0 <= u <= 1, within 2 ulp: 2 atanh(s) with s = u / (2 + u) <= 1/3, by its series; the first term left
/// out is below 3e-9 of the sum.
template <int W>
[[gnu::always_inline]] inline Vec<W> log1p_of_fraction(Vec<W> u) {
  const Vec<W> s = u / (u + 2.0F);
  const Vec<W> q = s * s;
  Vec<W> p = splat<W>(2.0F / 15.0F);
  p = p * q + 2.0F / 13.0F;
  p = p * q + 2.0F / 11.0F;
  p = p * q + 2.0F / 9.0F;
  p = p * q + 2.0F / 7.0F;
  p = p * q + 2.0F / 5.0F;
  p = p * q + 2.0F / 3.0F;
  return p * q * s + 2.0F * s;
}

/// By exp(-|x|), so that neither end overflows; the small end keeps its last bits.
template <int W>
[[gnu::always_inline]] inline Vec<W> sigmoid(Vec<W> x) {
  const Vec<W> small = exp<W>(x < 0.0F ? x : -x);
  return (x < 0.0F ? small : splat<W>(1.0F)) / (1.0F + small);
}

/// Derivative of x * sigmoid(x): s + x s (1 - s).
template <int W>
[[gnu::always_inline]] inline Vec<W> silu_slope(Vec<W> x) {
  const Vec<W> s = sigmoid<W>(x);
  return s + x * s * (1.0F - s);
}

template <int W>
[[gnu::always_inline]] inline Vec<W> sqrt(Vec<W> x) {
  for (int lane = 0; lane < W; ++lane) x[lane] = __builtin_sqrtf(x[lane]);
  return x;
}

/// max(x, 0) + log(1 + exp(-|x|)): neither overflows nor loses the small end.
template <int W>
[[gnu::always_inline]] inline Vec<W> softplus(Vec<W> x) {
  const Vec<W> magnitude = x < 0.0F ? -x : x;
  const Vec<W> positive = x < 0.0F ? splat<W>(0.0F) : x;
  return positive + log1p_of_fraction<W>(exp<W>(-magnitude));
}

/// y[i] = f(inputs[i]...) for i < n. The tail goes through the same vector code.
template <int W, class F, class... In>
[[gnu::always_inline]] inline void map(std::int64_t n, float* y, F f, const In*... inputs) {
  std::int64_t i = 0;
  for (; i + W <= n; i += W) store<W>(y + i, f(load<W>(inputs + i)...));
  if (i < n) store_part<W>(y + i, f(load_part<W>(inputs + i, n - i, 0.0F)...), n - i);
}

}  // namespace
}  // namespace strandline::cpu
