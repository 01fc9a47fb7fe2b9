// Rows of the depthwise convolution. Included only by simd_<isa>.cpp.
#pragma once

#include "core/cpu/simd/simd.hpp"
#include "core/cpu/simd/vec.hpp"

namespace strandline::cpu {
namespace {

/// K taps in registers for one vector of channels at a time, down all rows: the weights are loaded once per call.
template <int W, int K>
struct Conv1dTaps {
  using V = Vec<W>;

  /// A vector of channels [c, c + W), of which the last may be padded.
  struct Columns {
    std::int64_t c;
    std::int64_t count;

    [[gnu::always_inline]] V read(const float* row) const {
      return count == W ? load<W>(row + c) : load_part<W>(row + c, count, 0.0F);
    }
    [[gnu::always_inline]] void write(float* row, V value) const {
      if (count == W) {
        store<W>(row + c, value);
      } else {
        store_part<W>(row + c, value, count);
      }
    }
  };

  [[gnu::always_inline]] static inline V convolve(const Columns& columns, const float* const* x, const V (&weight)[K],
                                                  V u) {
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) u += weight[k] * columns.read(x[k]);
    return u;
  }

  static void forward(const Conv1dRows& args) {
    for (std::int64_t c = 0; c < args.channels; c += W) {
      const Columns columns{c, args.channels - c < W ? args.channels - c : W};
      V weight[K];
      for (int k = 0; k < K; ++k) weight[k] = columns.read(args.weight_kc + k * args.channels);
      const V bias = args.bias ? columns.read(args.bias) : V{};
      for (int row = 0; row < args.rows; ++row) {
        const V u = convolve(columns, args.x + row, weight, bias);
        columns.write(args.y[row], args.silu ? u * sigmoid<W>(u) : u);
      }
    }
  }

  static void backward(const Conv1dGradientRows& args) {
    const Conv1dRows& rows = args.forward;
    for (std::int64_t c = 0; c < rows.channels; c += W) {
      const Columns columns{c, rows.channels - c < W ? rows.channels - c : W};
      V weight[K];
      V dweight[K] = {};
      V dbias{};
      for (int k = 0; k < K; ++k) weight[k] = columns.read(rows.weight_kc + k * rows.channels);
      const V bias = rows.bias ? columns.read(rows.bias) : V{};
      for (int row = 0; row < rows.rows; ++row) {
        V du = columns.read(args.dy[row]);
        if (rows.silu) {
          const V u = convolve(columns, rows.x + row, weight, bias);
          const V s = sigmoid<W>(u);
          du *= s * (1.0F + u * (1.0F - s));
        }
        columns.write(rows.y[row], du);
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) dweight[k] += du * columns.read(rows.x[row + k]);
        dbias += du;
      }
      if (!args.dweight_kc) continue;
      for (int k = 0; k < K; ++k) {
        float* to = args.dweight_kc + k * rows.channels;
        columns.write(to, columns.read(to) + dweight[k]);
      }
      columns.write(args.dbias, columns.read(args.dbias) + dbias);
    }
  }
};

template <int W>
struct Conv1d {
  static void forward(const Conv1dRows& args) {
    switch (args.taps) {
      case 2: return Conv1dTaps<W, 2>::forward(args);
      case 3: return Conv1dTaps<W, 3>::forward(args);
      case 4: return Conv1dTaps<W, 4>::forward(args);
      case 5: return Conv1dTaps<W, 5>::forward(args);
      case 6: return Conv1dTaps<W, 6>::forward(args);
      case 7: return Conv1dTaps<W, 7>::forward(args);
      default: return Conv1dTaps<W, 8>::forward(args);
    }
  }

  static void backward(const Conv1dGradientRows& args) {
    switch (args.forward.taps) {
      case 2: return Conv1dTaps<W, 2>::backward(args);
      case 3: return Conv1dTaps<W, 3>::backward(args);
      case 4: return Conv1dTaps<W, 4>::backward(args);
      case 5: return Conv1dTaps<W, 5>::backward(args);
      case 6: return Conv1dTaps<W, 6>::backward(args);
      case 7: return Conv1dTaps<W, 7>::backward(args);
      default: return Conv1dTaps<W, 8>::backward(args);
    }
  }
};

}  // namespace
}  // namespace strandline::cpu
