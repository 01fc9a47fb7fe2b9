#include "core/cpu/conv1d_cpu.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "core/base/checked.hpp"

namespace strandline::cpu {
namespace {

constexpr std::int64_t kMaxTaps = 8;
constexpr std::int64_t kTileTokens = 32;  // rows whose vectors stay in the first-level cache from tap to tap
// Tokens of the pack per task. Fixed, because the ranges shape the sums of dweight and dbias, whose bits must not
// depend on the number of threads.
constexpr std::int64_t kForwardTokens = 128;
constexpr std::int64_t kGradientTokens = 512;
constexpr std::int64_t kRangesPerWave = 64;  // partial sums of dweight kept at once

/// A tensor (T, C) by rows.
struct Rows {
  float* data;
  std::int64_t stride;

  float* row(std::int64_t token) const { return data + token * stride; }
};

// Whether rows are written is known where they are used; the kernels take const pointers for what they read.
Rows rows_of(const ConstView& view) {
  if (!view) return {nullptr, 0};
  return {const_cast<float*>(view.as<float>()), view.stride(0)};
}

/// A state (S, K-1, C) by rows.
struct States {
  float* data;
  std::int64_t sequence_stride;
  std::int64_t row_stride;

  float* row(std::int64_t sequence, std::int64_t j) const { return data + sequence * sequence_stride + j * row_stride; }
};

States states_of(const ConstView& view) {
  if (!view) return {nullptr, 0, 0};
  return {const_cast<float*>(view.as<float>()), view.stride(0), view.stride(1)};
}

/// One sequence in scan order: place 0 is the first token scanned.
struct Sequence {
  std::int64_t number;
  std::int64_t begin;
  std::int64_t end;
  bool reverse;

  std::int64_t length() const { return end - begin; }
  std::int64_t token(std::int64_t place) const { return reverse ? end - 1 - place : begin + place; }
};

/// Places [begin, end) of one sequence.
struct Segment {
  Sequence sequence;
  std::int64_t begin;
  std::int64_t end;
};

/// Calls body(Segment) for each sequence that has tokens in [token_begin, token_end) of the pack.
template <class Body>
void for_each_segment(std::span<const std::int64_t> seq_begin, bool reverse, std::int64_t token_begin,
                      std::int64_t token_end, const Body& body) {
  auto next = std::upper_bound(seq_begin.begin(), seq_begin.end(), token_begin);
  for (std::int64_t token = token_begin; token < token_end; ++next) {
    const Sequence sequence{next - seq_begin.begin() - 1, *(next - 1), *next, reverse};
    const std::int64_t last = std::min(token_end, sequence.end);
    if (last > token) {
      const std::int64_t first_place = reverse ? sequence.end - last : token - sequence.begin;
      body(Segment{sequence, first_place, first_place + (last - token)});
    }
    token = std::max(token, last);
  }
}

/// The inputs of forward and backward, with the weight turned to (K, C) so that a tap is a row.
class Inputs {
 public:
  template <class Args>
  Inputs(CpuContext& context, const Args& args)
      : channels(args.x_tc.size(1)),
        taps(args.weight_ck.size(1)),
        x_(rows_of(args.x_tc)),
        initial_(states_of(args.initial_state_skc)),
        bias_(args.bias_c ? args.bias_c.template as<float>() : nullptr),
        silu_(args.silu) {
    zeros_ = context.scratch[0].take_zeros(DType::f32, {channels}).template as<float>();
    auto* weight = context.scratch[0].take(DType::f32, {taps, channels}).template as<float>();
    const auto* from = args.weight_ck.template as<float>();
    for (std::int64_t k = 0; k < taps; ++k) {
      for (std::int64_t c = 0; c < channels; ++c) weight[k * channels + c] = from[c * args.weight_ck.stride(0) + k];
    }
    weight_kc = weight;
  }

  /// The row at a place, which may lie before the sequence.
  const float* input(const Sequence& sequence, std::int64_t place) const {
    if (place >= 0) return x_.row(sequence.token(place));
    return initial_.data ? initial_.row(sequence.number, place + taps - 1) : zeros_;
  }

  Conv1dRows rows(int count, const float* const* x, float* const* y) const {
    return {.channels = channels,
            .taps = static_cast<int>(taps),
            .rows = count,
            .x = x,
            .weight_kc = weight_kc,
            .bias = bias_,
            .silu = silu_,
            .y = y};
  }

  const float* zeros() const { return zeros_; }

  std::int64_t channels;
  std::int64_t taps;
  const float* weight_kc;

 private:
  Rows x_;
  States initial_;
  const float* bias_;
  bool silu_;
  const float* zeros_;
};

using InputRows = std::array<const float*, kTileTokens + 2 * kMaxTaps>;
using OutputRows = std::array<float*, kTileTokens + 2 * kMaxTaps>;

void forward_segment(const CpuContext& context, const Inputs& inputs, const Segment& segment, const Rows& y) {
  InputRows from;
  OutputRows to;
  for (std::int64_t first = segment.begin; first < segment.end; first += kTileTokens) {
    const std::int64_t count = std::min(kTileTokens, segment.end - first);
    for (std::int64_t i = 0; i < count + inputs.taps - 1; ++i) {
      from[static_cast<std::size_t>(i)] = inputs.input(segment.sequence, first - (inputs.taps - 1) + i);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      to[static_cast<std::size_t>(i)] = y.row(segment.sequence.token(first + i));
    }
    context.simd.conv1d_rows(inputs.rows(static_cast<int>(count), from.data(), to.data()));
  }
}

/// One range of the pack's tokens in the backward pass. dweight_kc and dbias are this range's own sums.
class GradientRange {
 public:
  GradientRange(const CpuContext& context, const Inputs& inputs, const ops::Conv1dBackwardArgs& args)
      : context_(context),
        inputs_(inputs),
        dy_(rows_of(args.dy_tc)),
        dx_(rows_of(args.dx_tc)),
        dfinal_(states_of(args.dfinal_state_skc)) {}

  /// `flipped_kc` are the taps in reverse order; `du` has room for kTileTokens + K - 1 rows.
  void run(const Segment& segment, const float* flipped_kc, float* du, float* sums) const {
    for (std::int64_t first = segment.begin; first < segment.end; first += kTileTokens) {
      const std::int64_t last = std::min(first + kTileTokens, segment.end);
      float* dbias = sums + inputs_.taps * inputs_.channels;
      du_rows(segment.sequence, first, last, du, sums, dbias);
      if (!dx_.data) continue;
      // dx at a place needs du of the K - 1 places after it; those of the next tile are computed twice.
      const std::int64_t after = std::min(last + inputs_.taps - 1, segment.sequence.length());
      du_rows(segment.sequence, last, after, du + (last - first) * inputs_.channels, nullptr, nullptr);
      dx_rows(segment.sequence, {first, last, after}, flipped_kc, du);
    }
  }

  /// Gradient of places [-(K-1), 0), which stand before the sequence, to rows of dinitial_state.
  void initial(const Sequence& sequence, const float* flipped_kc, float* du, const States& dinitial) const {
    const std::int64_t before = inputs_.taps - 1;
    const std::int64_t after = std::min(before, sequence.length());
    du_rows(sequence, 0, after, du, nullptr, nullptr);
    InputRows from;
    OutputRows to;
    for (std::int64_t i = 0; i < 2 * before; ++i) {
      const std::int64_t place = i - before;
      from[static_cast<std::size_t>(i)] = place >= 0 && place < after ? du + place * inputs_.channels : inputs_.zeros();
    }
    for (std::int64_t j = 0; j < before; ++j) to[static_cast<std::size_t>(j)] = dinitial.row(sequence.number, j);
    convolve(flipped_kc, static_cast<int>(before), from, to);
    for (std::int64_t j = 0; j < before; ++j) add_final(sequence, j - before, to[static_cast<std::size_t>(j)]);
  }

 private:
  struct Places {
    std::int64_t begin;
    std::int64_t end;
    std::int64_t known;  ///< du is known from begin to here
  };

  void du_rows(const Sequence& sequence, std::int64_t begin, std::int64_t end, float* du, float* dweight,
               float* dbias) const {
    if (begin >= end) return;
    InputRows from;
    InputRows dy;
    OutputRows to;
    for (std::int64_t i = 0; i < end - begin + inputs_.taps - 1; ++i) {
      from[static_cast<std::size_t>(i)] = inputs_.input(sequence, begin - (inputs_.taps - 1) + i);
    }
    for (std::int64_t i = 0; i < end - begin; ++i) {
      dy[static_cast<std::size_t>(i)] = dy_.row(sequence.token(begin + i));
      to[static_cast<std::size_t>(i)] = du + i * inputs_.channels;
    }
    context_.simd.conv1d_gradient_rows({.forward = inputs_.rows(static_cast<int>(end - begin), from.data(), to.data()),
                                        .dy = dy.data(),
                                        .dweight_kc = dweight,
                                        .dbias = dbias});
  }

  void dx_rows(const Sequence& sequence, const Places& places, const float* flipped_kc, const float* du) const {
    InputRows from;
    OutputRows to;
    const std::int64_t count = places.end - places.begin;
    for (std::int64_t i = 0; i < count + inputs_.taps - 1; ++i) {
      const bool known = places.begin + i < places.known;
      from[static_cast<std::size_t>(i)] = known ? du + i * inputs_.channels : inputs_.zeros();
    }
    for (std::int64_t i = 0; i < count; ++i)
      to[static_cast<std::size_t>(i)] = dx_.row(sequence.token(places.begin + i));
    convolve(flipped_kc, static_cast<int>(count), from, to);
    const std::int64_t state_begin = std::max(places.begin, sequence.length() - (inputs_.taps - 1));
    for (std::int64_t place = state_begin; place < places.end; ++place) {
      add_final(sequence, place, dx_.row(sequence.token(place)));
    }
  }

  void convolve(const float* flipped_kc, int count, const InputRows& from, const OutputRows& to) const {
    Conv1dRows rows = inputs_.rows(count, from.data(), to.data());
    rows.weight_kc = flipped_kc;
    rows.bias = nullptr;
    rows.silu = false;
    context_.simd.conv1d_rows(rows);
  }

  // The final state holds the last K - 1 inputs: their gradient passes through.
  void add_final(const Sequence& sequence, std::int64_t place, float* row) const {
    const std::int64_t j = place - (sequence.length() - (inputs_.taps - 1));
    if (!dfinal_.data || j < 0 || j >= inputs_.taps - 1) return;
    context_.simd.add(inputs_.channels, dfinal_.row(sequence.number, j), row);
  }

  const CpuContext& context_;
  const Inputs& inputs_;
  Rows dy_;
  Rows dx_;
  States dfinal_;
};

std::int64_t sequences_of(std::span<const std::int64_t> seq_begin) {
  return static_cast<std::int64_t>(seq_begin.size()) - 1;
}

Sequence sequence_at(std::span<const std::int64_t> seq_begin, bool reverse, std::int64_t s) {
  const auto index = static_cast<std::size_t>(s);
  return {s, seq_begin[index], seq_begin[index + 1], reverse};
}

void add_sums(const float* sums_kc, std::int64_t taps, std::int64_t channels, const ops::Conv1dBackwardArgs& args) {
  if (args.dweight_ck) {
    auto* to = args.dweight_ck.as<float>();
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t k = 0; k < taps; ++k) to[c * args.dweight_ck.stride(0) + k] += sums_kc[k * channels + c];
    }
  }
  if (args.dbias_c) {
    auto* to = args.dbias_c.as<float>();
    for (std::int64_t c = 0; c < channels; ++c) to[c] += sums_kc[taps * channels + c];
  }
}

}  // namespace

void conv1d(CpuContext& context, const ops::Conv1dArgs& args) {
  const Workspace::Scope scope(context.scratch[0]);
  const Inputs inputs(context, args);
  const Rows y = rows_of(args.y_tc);
  const std::int64_t tokens = args.x_tc.size(0);
  const auto range = [&](std::int64_t index, int) {
    const std::int64_t begin = index * kForwardTokens;
    for_each_segment(args.seq_begin, args.reverse, begin, std::min(begin + kForwardTokens, tokens),
                     [&](const Segment& segment) { forward_segment(context, inputs, segment, y); });
  };
  context.team.parallel_for(ceil_div(tokens, kForwardTokens), std::ref(range));
  if (!args.final_state_skc) return;
  const States final_state = states_of(args.final_state_skc);
  const auto save = [&](std::int64_t s, int) {
    const Sequence sequence = sequence_at(args.seq_begin, args.reverse, s);
    const std::int64_t before = inputs.taps - 1;
    for (std::int64_t j = 0; j < before; ++j) {
      std::copy_n(inputs.input(sequence, sequence.length() - before + j), inputs.channels, final_state.row(s, j));
    }
  };
  context.team.parallel_for(sequences_of(args.seq_begin), std::ref(save));
}

void conv1d_backward(CpuContext& context, const ops::Conv1dBackwardArgs& args) {
  const Workspace::Scope scope(context.scratch[0]);
  const Inputs inputs(context, args);
  const std::int64_t tokens = args.x_tc.size(0);
  const std::int64_t sums_size = (inputs.taps + 1) * inputs.channels;
  auto* flipped = context.scratch[0].take(DType::f32, {inputs.taps, inputs.channels}).as<float>();
  for (std::int64_t k = 0; k < inputs.taps; ++k) {
    std::copy_n(inputs.weight_kc + (inputs.taps - 1 - k) * inputs.channels, inputs.channels,
                flipped + k * inputs.channels);
  }
  const GradientRange gradient(context, inputs, args);
  const std::int64_t ranges = ceil_div(tokens, kGradientTokens);
  auto* total = context.scratch[0].take_zeros(DType::f32, {sums_size}).as<float>();
  auto* sums = context.scratch[0].take(DType::f32, {std::min(ranges, kRangesPerWave), sums_size}).as<float>();
  const auto du_scratch = [&](int worker) {
    return context.scratch[static_cast<std::size_t>(worker)].take(DType::f32,
                                                                  {kTileTokens + kMaxTaps, inputs.channels});
  };
  for (std::int64_t wave = 0; wave < ranges; wave += kRangesPerWave) {
    const std::int64_t count = std::min(kRangesPerWave, ranges - wave);
    const auto range = [&](std::int64_t index, int worker) {
      const Workspace::Scope range_scope(context.scratch[static_cast<std::size_t>(worker)]);
      auto* du = du_scratch(worker).template as<float>();
      float* own = sums + index * sums_size;
      std::fill_n(own, sums_size, 0.0F);
      const std::int64_t begin = (wave + index) * kGradientTokens;
      for_each_segment(args.seq_begin, args.reverse, begin, std::min(begin + kGradientTokens, tokens),
                       [&](const Segment& segment) { gradient.run(segment, flipped, du, own); });
    };
    context.team.parallel_for(count, std::ref(range));
    for (std::int64_t index = 0; index < count; ++index) context.simd.add(sums_size, sums + index * sums_size, total);
  }
  add_sums(total, inputs.taps, inputs.channels, args);
  if (!args.dinitial_state_skc) return;
  const States dinitial = states_of(args.dinitial_state_skc);
  const auto initial = [&](std::int64_t s, int worker) {
    const Workspace::Scope range_scope(context.scratch[static_cast<std::size_t>(worker)]);
    gradient.initial(sequence_at(args.seq_begin, args.reverse, s), flipped, du_scratch(worker).template as<float>(),
                     dinitial);
  };
  context.team.parallel_for(sequences_of(args.seq_begin), std::ref(initial));
}

}  // namespace strandline::cpu
