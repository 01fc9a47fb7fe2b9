#include "core/cpu/ssd_scan_chunk.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/checked.hpp"

namespace strandline::cpu {
namespace {

// exp() of this is zero in float, so that a step below it need not be told from this one; without it, A could become
// minus infinity, and the difference of two such sums is not a number.
constexpr double kForgotten = -200.0;

std::int64_t longest_sequence(std::span<const std::int64_t> seq_begin) {
  std::int64_t longest = 0;
  for (std::size_t s = 1; s < seq_begin.size(); ++s) longest = std::max(longest, seq_begin[s] - seq_begin[s - 1]);
  return longest;
}

std::int64_t sequences_of(const ops::SsdScanArgs& args) { return static_cast<std::int64_t>(args.seq_begin.size()) - 1; }

std::int64_t chunks_of(const ops::SsdScanArgs& args, const ScanShape& shape, std::int64_t sequence) {
  const auto s = static_cast<std::size_t>(sequence);
  return ceil_div(args.seq_begin[s + 1] - args.seq_begin[s], shape.chunk);
}

ScanChunk chunk_at(const ops::SsdScanArgs& args, const ScanShape& shape, const ScanCursor& at) {
  const auto s = static_cast<std::size_t>(at.sequence);
  const std::int64_t begin = args.seq_begin[s];
  const std::int64_t end = args.seq_begin[s + 1];
  const std::int64_t place = at.chunk * shape.chunk;
  const std::int64_t count = std::min(shape.chunk, end - begin - place);
  return args.reverse ? ScanChunk{end - 1 - place, -1, count} : ScanChunk{begin + place, 1, count};
}

// delta and slope from the raw steps in `delta`.
void step_sizes(const SimdTable& simd, const ops::StepSize& step, std::int64_t count, HeadSteps& steps) {
  if (steps.slope) {
    if (step.softplus) {
      simd.sigmoid(count, steps.delta, steps.slope);
    } else {
      std::fill_n(steps.slope, count, 1.0F);
    }
  }
  if (step.softplus) simd.softplus(count, steps.delta, steps.delta);
  const auto low = static_cast<float>(step.min);
  const auto high = static_cast<float>(step.max);
  for (std::int64_t q = 0; q < count; ++q) {
    const float delta = steps.delta[q];
    if (!(delta < low || delta > high)) continue;  // NaN stays
    steps.delta[q] = delta < low ? low : high;
    if (steps.slope) steps.slope[q] = 0.0F;
  }
}

}  // namespace

ScanShape::ScanShape(const ops::SsdScanArgs& args, const SimdTable& simd)
    : heads(args.x_thp.size(1)),
      groups(args.b_tgn.size(1)),
      heads_per_group(heads / groups),
      width(args.x_thp.size(2)),
      states(args.b_tgn.size(2)),
      chunk(std::max<std::int64_t>(std::min(args.chunk, longest_sequence(args.seq_begin)), 1)),
      tile_rows(simd.gemm_rows),
      tile_columns(simd.gemm_columns),
      state_rows(round_up(states, tile_rows)),
      chunk_rows(round_up(chunk, tile_rows)),
      chunk_columns(round_up(chunk, tile_columns)),
      panels(ceil_div(width, tile_columns)) {}

std::int64_t ScanShape::panel_width(std::int64_t panel) const {
  return std::min(tile_columns, width - panel * tile_columns);
}

ScanBlock take_block(Workspace& scratch, std::int64_t capacity) {
  return {.capacity = capacity,
          .runs = take_array<ScanRun>(scratch, capacity),
          .chunks = take_array<ScanChunk>(scratch, capacity)};
}

bool next_block(const ops::SsdScanArgs& args, const ScanShape& shape, ScanCursor& cursor, ScanBlock& block) {
  block.run_count = 0;
  block.chunk_count = 0;
  while (cursor.sequence < sequences_of(args) && block.chunk_count < block.capacity) {
    const std::int64_t all = chunks_of(args, shape, cursor.sequence);
    const std::int64_t taken = std::min(all - cursor.chunk, block.capacity - block.chunk_count);
    if (taken > 0) {
      block.runs[block.run_count++] = {.sequence = cursor.sequence,
                                       .slot = block.chunk_count,
                                       .chunks = taken,
                                       .starts = cursor.chunk == 0,
                                       .ends = cursor.chunk + taken == all};
    }
    for (std::int64_t i = 0; i < taken; ++i, ++cursor.chunk) {
      block.chunks[block.chunk_count++] = chunk_at(args, shape, cursor);
    }
    if (cursor.chunk == all) cursor = {cursor.sequence + 1, 0};
  }
  return block.chunk_count > 0;
}

std::int64_t count_chunks(const ops::SsdScanArgs& args, const ScanShape& shape) {
  std::int64_t count = 0;
  for (std::int64_t s = 0; s < sequences_of(args); ++s) count += chunks_of(args, shape, s);
  return count;
}

ReadRows read_rows(const ConstView& tensor, const ScanChunk& chunk, std::int64_t item) {
  return {tensor.as<float>() + chunk.first_token * tensor.stride(0) + item * tensor.stride(1),
          chunk.direction * tensor.stride(0)};
}

WriteRows write_rows(const View& tensor, const ScanChunk& chunk, std::int64_t item) {
  return {tensor.as<float>() + chunk.first_token * tensor.stride(0) + item * tensor.stride(1),
          chunk.direction * tensor.stride(0)};
}

HeadSteps take_steps(Workspace& scratch, const ScanShape& shape) {
  const auto take = [&] { return scratch.take_zeros(DType::f32, {shape.chunk_columns}).as<float>(); };
  HeadSteps steps{};
  for (float** array : {&steps.delta, &steps.slope, &steps.high, &steps.low, &steps.from_start, &steps.to_end}) {
    *array = take();
  }
  return steps;
}

void compute_steps(const SimdTable& simd, const ops::SsdScanArgs& args, const ScanChunk& chunk, std::int64_t head,
                   HeadSteps& steps) {
  const ReadRows dt = read_rows(args.dt_th, chunk, head);
  const float bias = args.dt_bias_h ? args.dt_bias_h.as<float>()[head] : 0.0F;
  for (std::int64_t q = 0; q < chunk.count; ++q) steps.delta[q] = *dt.row(q) + bias;
  step_sizes(simd, args.step, chunk.count, steps);
  steps.a = -std::exp(args.a_log_h.as<float>()[head]);
  double sum = 0.0;
  for (std::int64_t q = 0; q < chunk.count; ++q) {
    sum += std::max(static_cast<double>(steps.delta[q]) * static_cast<double>(steps.a), kForgotten);
    steps.high[q] = static_cast<float>(sum);
    steps.low[q] = static_cast<float>(sum - static_cast<double>(steps.high[q]));
  }
  const double last = sum;
  for (std::int64_t q = 0; q < chunk.count; ++q) {
    const double place = static_cast<double>(steps.high[q]) + static_cast<double>(steps.low[q]);
    steps.to_end[q] = static_cast<float>(std::min(last - place, 0.0));
  }
  simd.exp(chunk.count, steps.high, steps.from_start);
  simd.exp(chunk.count, steps.to_end, steps.to_end);
  steps.total = steps.from_start[chunk.count - 1];
}

ReadRows read_state(const ConstView& state_shpn, std::int64_t sequence, std::int64_t head) {
  return {state_shpn.as<float>() + sequence * state_shpn.stride(0) + head * state_shpn.stride(1), state_shpn.stride(2)};
}

WriteRows write_state(const View& state_shpn, std::int64_t sequence, std::int64_t head) {
  return {state_shpn.as<float>() + sequence * state_shpn.stride(0) + head * state_shpn.stride(1), state_shpn.stride(2)};
}

void load_panel(const ScanShape& shape, const ReadRows& state_pn, std::int64_t panel, float* cells) {
  std::fill_n(cells, shape.panel_cells(), 0.0F);
  for (std::int64_t p = 0; p < shape.panel_width(panel); ++p) {
    const float* row = state_pn.row(panel * shape.tile_columns + p);
    for (std::int64_t n = 0; n < shape.states; ++n) cells[n * shape.tile_columns + p] = row[n];
  }
}

void store_panel(const ScanShape& shape, const float* cells, std::int64_t panel, const WriteRows& state_pn) {
  for (std::int64_t p = 0; p < shape.panel_width(panel); ++p) {
    float* row = state_pn.row(panel * shape.tile_columns + p);
    for (std::int64_t n = 0; n < shape.states; ++n) row[n] = cells[n * shape.tile_columns + p];
  }
}

void pass_empty_sequences(const ops::SsdScanArgs& args, const ConstView& from_shpn, const View& to_shpn) {
  if (!to_shpn) return;
  for (std::int64_t s = 0; s < sequences_of(args); ++s) {
    const auto index = static_cast<std::size_t>(s);
    if (args.seq_begin[index] < args.seq_begin[index + 1]) continue;
    for (std::int64_t h = 0; h < to_shpn.size(1); ++h) {
      const WriteRows to = write_state(to_shpn, s, h);
      for (std::int64_t p = 0; p < to_shpn.size(2); ++p) {
        if (from_shpn) {
          std::copy_n(read_state(from_shpn, s, h).row(p), to_shpn.size(3), to.row(p));
        } else {
          std::fill_n(to.row(p), to_shpn.size(3), 0.0F);
        }
      }
    }
  }
}

}  // namespace strandline::cpu
