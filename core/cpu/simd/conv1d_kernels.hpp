// Rows of the depthwise convolution. Included only by simd_<isa>.cpp.
#pragma once

#include "core/cpu/simd/simd.hpp"
#include "core/cpu/simd/vec.hpp"

namespace strandline::cpu {
namespace {

/// Four rows at a time, across the channels: memory is read in rows, as it lies, and an x is loaded 7 times per 4 rows
/// instead of 16. Down the rows by columns of one vector took twice as long: rows of 3 kB fall into four sets of the
/// first-level cache.
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

  /// R rows of one vector of channels. x[0 .. R + K - 2] are loaded once and used for up to K rows.
  template <int R>
  struct Block {
    V x[R + K - 1];
    V weight[K];
    V bias;

    [[gnu::always_inline]] Block(const Columns& columns, const Conv1dRows& args, int row) {
#pragma GCC unroll 16
      for (int r = 0; r < R + K - 1; ++r) x[r] = columns.read(args.x[row + r]);
#pragma GCC unroll 8
      for (int k = 0; k < K; ++k) weight[k] = columns.read(args.weight_kc + k * args.channels);
      bias = args.bias ? columns.read(args.bias) : V{};
    }

    [[gnu::always_inline]] V convolve(int r) const {
      V u = bias;
#pragma GCC unroll 8
      for (int k = 0; k < K; ++k) u += weight[k] * x[r + k];
      return u;
    }
  };

  template <int R>
  static void forward_rows(const Conv1dRows& args, int row) {
    for (std::int64_t c = 0; c < args.channels; c += W) {
      const Columns columns{c, args.channels - c < W ? args.channels - c : W};
      const Block<R> block(columns, args, row);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const V u = block.convolve(r);
        columns.write(args.y[row + r], args.silu ? u * sigmoid<W>(u) : u);
      }
    }
  }

  template <int R>
  static void backward_rows(const Conv1dGradientRows& args, int row) {
    const Conv1dRows& rows = args.forward;
    for (std::int64_t c = 0; c < rows.channels; c += W) {
      const Columns columns{c, rows.channels - c < W ? rows.channels - c : W};
      const Block<R> block(columns, rows, row);
      V du[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        du[r] = columns.read(args.dy[row + r]);
        if (rows.silu) {
          const V u = block.convolve(r);
          const V s = sigmoid<W>(u);
          du[r] *= s * (1.0F + u * (1.0F - s));
        }
        columns.write(rows.y[row + r], du[r]);
      }
      if (!args.dweight_kc) continue;
#pragma GCC unroll 8
      for (int k = 0; k < K; ++k) {
        float* to = args.dweight_kc + k * rows.channels;
        V sum = columns.read(to);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) sum += du[r] * block.x[r + k];
        columns.write(to, sum);
      }
      V sum = columns.read(args.dbias);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) sum += du[r];
      columns.write(args.dbias, sum);
    }
  }

  static void forward(const Conv1dRows& args) {
    int row = 0;
    for (; row + 4 <= args.rows; row += 4) forward_rows<4>(args, row);
    for (; row < args.rows; ++row) forward_rows<1>(args, row);
  }

  static void backward(const Conv1dGradientRows& args) {
    int row = 0;
    for (; row + 4 <= args.forward.rows; row += 4) backward_rows<4>(args, row);
    for (; row < args.forward.rows; ++row) backward_rows<1>(args, row);
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
