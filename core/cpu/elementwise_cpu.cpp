#include "core/cpu/elementwise_cpu.hpp"

#include <cmath>

#include "core/base/philox.hpp"
#include "core/cpu/rows.hpp"

namespace strandline::cpu {
namespace {

/// All axes but the last, counted as one: where row number `row` begins.
std::int64_t row_offset(const ConstView& view, std::int64_t row) {
  std::int64_t offset = 0;
  for (int axis = view.rank() - 2; axis >= 0; --axis) {
    offset += row % view.size(axis) * view.stride(axis);
    row /= view.size(axis);
  }
  return offset;
}

/// Calls body(count, from, to) for stretches that are dense in both: pieces of everything, or rows.
template <class Body>
void for_row_pairs(CpuContext& context, const ConstView& x, const View& y, const Body& body) {
  const std::int64_t width = x.rank() > 0 ? x.size(x.rank() - 1) : 1;
  const auto* from = x.as<float>();
  auto* to = y.as<float>();
  if (x.is_dense() && y.is_dense()) {
    for_rows(context, x.elements(), 1,
             [&](std::int64_t begin, std::int64_t end, int) { body(end - begin, from + begin, to + begin); });
    return;
  }
  for_rows(context, x.elements() / width, width, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) body(width, from + row_offset(x, row), to + row_offset(y, row));
  });
}

/// Draws in order, four at a time.
class Draws {
 public:
  Draws(const ops::DropoutArgs& args, std::int64_t first)
      : args_(args), next_(static_cast<std::uint64_t>(first)), words_(philox(args.seed, args.stream, next_ / 4)) {}

  std::uint32_t next() {
    const std::uint32_t word = words_[next_ % 4];
    if (++next_ % 4 == 0) words_ = philox(args_.seed, args_.stream, next_ / 4);
    return word;
  }

 private:
  const ops::DropoutArgs& args_;
  std::uint64_t next_;
  std::array<std::uint32_t, 4> words_;
};

}  // namespace

void add(CpuContext& context, const ConstView& x, const View& y) {
  for_row_pairs(context, x, y, [&](std::int64_t n, const float* from, float* to) { context.simd.add(n, from, to); });
}

void multiply(CpuContext& context, const ConstView& x, const View& y) {
  for_row_pairs(context, x, y,
                [&](std::int64_t n, const float* from, float* to) { context.simd.multiply(n, to, from, to); });
}

void reverse_channels(CpuContext& context, const ConstView& x_td, const View& y_td) {
  const std::int64_t channels = x_td.size(1);
  for_rows(context, x_td.size(0), channels, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* from = x_td.as<float>() + t * x_td.stride(0);
      std::reverse_copy(from, from + channels, y_td.as<float>() + t * y_td.stride(0));
    }
  });
}

// keep when word / 2^32 >= p, that is word >= p * 2^32 rounded up: exact, because p * 2^32 only moves the exponent.
void dropout(CpuContext& context, const ops::DropoutArgs& args) {
  const std::int64_t channels = args.x_td.size(1);
  const auto threshold = static_cast<std::uint64_t>(std::ceil(args.p * 0x1p32));
  const auto keep_share = static_cast<float>(1.0 - args.p);
  const auto* x = args.x_td.as<float>();
  auto* y = args.y_td.as<float>();
  for_rows(context, args.x_td.size(0), channels, [&](std::int64_t begin, std::int64_t end, int) {
    Draws draws(args, (args.first_row + begin) * channels);
    for (std::int64_t t = begin; t < end; ++t) {
      const float* from = x + t * args.x_td.stride(0);
      float* to = y + t * args.y_td.stride(0);
      for (std::int64_t d = 0; d < channels; ++d) to[d] = draws.next() >= threshold ? from[d] / keep_share : 0.0F;
    }
  });
}

}  // namespace strandline::cpu
