#include "core/cpu/grid_conv_cpu.hpp"

#include <array>

#include "core/cpu/row_sums.hpp"

// Rows of channels, tap by tap: a row of x of 2 kB (512 channels) is read K L times while it lies in the caches, and
// the taps are laid out as rows too, so that everything is one multiply-add of dense rows.
namespace strandline::cpu {
namespace {

/// Where the tokens of a grid reach through the taps.
class Grid {
 public:
  template <class Args>
  explicit Grid(const Args& args)
      : rows_(args.x_td.size(0) / args.columns),
        columns_(args.columns),
        tap_rows_(args.weight_gkl.size(1)),
        tap_columns_(args.weight_gkl.size(2)) {}

  std::int64_t taps() const { return tap_rows_ * tap_columns_; }

  /// Calls body(tap, other) for every tap whose other end, `sign` times its shift away from `token`, is in the grid.
  template <class Body>
  void for_taps(std::int64_t token, std::int64_t sign, const Body& body) const {
    for (std::int64_t k = 0; k < tap_rows_; ++k) {
      const std::int64_t row = token / columns_ + sign * (k - tap_rows_ / 2);
      if (row < 0 || row >= rows_) continue;
      for (std::int64_t l = 0; l < tap_columns_; ++l) {
        const std::int64_t column = token % columns_ + sign * (l - tap_columns_ / 2);
        if (column >= 0 && column < columns_) body(k * tap_columns_ + l, row * columns_ + column);
      }
    }
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t tap_rows_;
  std::int64_t tap_columns_;
};

/// The taps as rows: (taps, channels), every channel with its group's.
const float* tap_rows(Workspace& scratch, const ConstView& weight_gkl, std::int64_t channels) {
  const std::int64_t taps = weight_gkl.size(1) * weight_gkl.size(2);
  const std::int64_t shared = channels / weight_gkl.size(0);
  const auto* weight = weight_gkl.as<float>();
  auto* rows = scratch.take(DType::f32, {taps, channels}).as<float>();
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    for (std::int64_t d = 0; d < channels; ++d) rows[tap * channels + d] = weight[d / shared * taps + tap];
  }
  return rows;
}

/// Sums over the tokens for every tap and channel, behind them those of dy; then over the channels of each group.
void weight_gradients(CpuContext& context, const ops::GridConvBackwardArgs& args, const Grid& grid) {
  const std::int64_t channels = args.x_td.size(1);
  const std::int64_t taps = grid.taps();
  const auto* x = args.x_td.as<float>();
  const auto* dy = args.dy_td.as<float>();
  const Workspace::Scope scope(context.scratch[0]);
  const View sums = context.scratch[0].take_zeros(DType::f32, {(taps + 1) * channels});
  const std::array<View, 1> to{sums};
  sum_over_rows(context, {args.x_td.size(0), (taps + 1) * channels, to}, [&](std::int64_t t, float* own, int) {
    const float* dy_row = dy + t * args.dy_td.stride(0);
    context.simd.add(channels, dy_row, own + taps * channels);
    grid.for_taps(t, 1, [&](std::int64_t tap, std::int64_t from) {
      context.simd.multiply_add(channels, dy_row, x + from * args.x_td.stride(0), own + tap * channels);
    });
  });
  const auto* sum = sums.as<float>();
  if (args.dbias_d) context.simd.add(channels, sum + taps * channels, args.dbias_d.as<float>());
  if (!args.dweight_gkl) return;
  const std::int64_t shared = channels / args.weight_gkl.size(0);
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    for (std::int64_t g = 0; g < args.weight_gkl.size(0); ++g) {
      double whole = 0.0;
      for (std::int64_t d = g * shared; d < (g + 1) * shared; ++d)
        whole += static_cast<double>(sum[tap * channels + d]);
      args.dweight_gkl.as<float>()[g * taps + tap] += static_cast<float>(whole);
    }
  }
}

}  // namespace

void grid_conv(CpuContext& context, const ops::GridConvArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const Grid grid(args);
  const Workspace::Scope scope(context.scratch[0]);
  const float* weight = tap_rows(context.scratch[0], args.weight_gkl, channels);
  const auto* x = args.x_td.as<float>();
  for_rows(context, args.x_td.size(0), channels * grid.taps(), [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* y = args.y_td.as<float>() + t * args.y_td.stride(0);
      if (!args.accumulate) std::fill_n(y, channels, 0.0F);
      if (args.bias_d) context.simd.add(channels, args.bias_d.as<float>(), y);
      grid.for_taps(t, 1, [&](std::int64_t tap, std::int64_t from) {
        context.simd.multiply_add(channels, weight + tap * channels, x + from * args.x_td.stride(0), y);
      });
    }
  });
}

void grid_conv_backward(CpuContext& context, const ops::GridConvBackwardArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const Grid grid(args);
  if (args.dx_td) {
    const Workspace::Scope scope(context.scratch[0]);
    const float* weight = tap_rows(context.scratch[0], args.weight_gkl, channels);
    const auto* dy = args.dy_td.as<float>();
    for_rows(context, args.x_td.size(0), channels * grid.taps(), [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t t = begin; t < end; ++t) {
        float* dx = args.dx_td.as<float>() + t * args.dx_td.stride(0);
        if (!args.accumulate_dx) std::fill_n(dx, channels, 0.0F);
        grid.for_taps(t, -1, [&](std::int64_t tap, std::int64_t to) {
          context.simd.multiply_add(channels, weight + tap * channels, dy + to * args.dy_td.stride(0), dx);
        });
      }
    });
  }
  if (args.dweight_gkl || args.dbias_d) weight_gradients(context, args, grid);
}

}  // namespace strandline::cpu
