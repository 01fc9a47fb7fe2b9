#include "core/cpu/ssd_scan_backward_cpu.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/base/checked.hpp"
#include "core/cpu/simd/flush_subnormals.hpp"
#include "core/cpu/ssd_scan_chunk_gradient.hpp"

namespace strandline::cpu {
namespace {

// States kept at once. A pack that fits is walked once; a longer one is walked forward once more to find the states at
// the spans' edges. Results do not depend on it.
constexpr std::int64_t kSpanBytes = std::int64_t{64} << 20;

std::int64_t span_capacity(const ScanShape& shape, std::int64_t chunks) {
  const std::int64_t bytes_per_chunk = 2 * shape.heads * shape.state_cells() * static_cast<std::int64_t>(sizeof(float));
  // Edges cost one state per span, spans two per chunk: the square root balances them for very long packs.
  const auto balanced = static_cast<std::int64_t>(std::sqrt(static_cast<double>(chunks) / 2));
  return std::clamp<std::int64_t>(std::max(kSpanBytes / bytes_per_chunk, balanced), 1,
                                  std::max<std::int64_t>(chunks, 1));
}

/// Spans of chunks from the last to the first, each in three parallel phases: the states and their gradients, per (run
/// of chunks, head, part of P), in order; then everything else, per (chunk, group), in any order; then the sums, in
/// order.
class ScanBackward {
 public:
  ScanBackward(CpuContext& context, const ops::SsdScanBackwardArgs& args)
      : context_(context),
        args_(args),
        shape_(args.forward, context.simd),
        chunks_(count_chunks(args.forward, shape_)),
        capacity_(span_capacity(shape_, chunks_)),
        spans_(ceil_div(chunks_, capacity_)) {
    Workspace& scratch = context.scratch[0];
    const auto take = [&](std::int64_t rows, std::int64_t columns) {
      return scratch.take(DType::f32, {rows, columns}).as<float>();
    };
    span_ = {.block = take_block(scratch, capacity_),
             .b_tiles = take(capacity_ * shape_.groups, shape_.state_rows * shape_.chunk),
             .c_tiles = take(capacity_ * shape_.groups, shape_.state_rows * shape_.chunk),
             .starts = take(capacity_ * shape_.heads, shape_.state_cells()),
             .dends = take(capacity_ * shape_.heads, shape_.state_cells()),
             .has_initial = static_cast<bool>(args.forward.initial_state_shpn),
             .has_dfinal = static_cast<bool>(args.dfinal_state_shpn)};
    edges_ = take(spans_ * shape_.heads, shape_.state_cells());
    for (float*& carry : carry_) carry = take(shape_.heads, shape_.state_cells());
    cursors_ = take_array<ScanCursor>(scratch, spans_);
    sums_ = take_array<HeadSums>(scratch, capacity_ * shape_.heads);
    totals_ = take_array<HeadSums>(scratch, shape_.heads);
    runs_of_slots_ = take_array<const ScanRun*>(scratch, capacity_);
    std::fill_n(totals_, shape_.heads, HeadSums{});
  }

  void run() {
    find_edges();
    for (std::int64_t span = spans_ - 1; span >= 0; --span) {
      ScanCursor cursor = cursors_[span];
      next_block(args_.forward, shape_, cursor, span_.block);
      ScanStates(context_, args_, shape_, span_).run({.before = edge(span), .dafter = carry_[0], .dbefore = carry_[1]});
      chunk_gradients();
      add_sums();
      std::swap(carry_[0], carry_[1]);
    }
    write_totals();
  }

 private:
  float* edge(std::int64_t span) const { return edges_ + span * shape_.heads * shape_.state_cells(); }

  void find_edges() {
    ScanCursor cursor;
    for (std::int64_t span = 0; span < spans_; ++span) {
      cursors_[span] = cursor;
      if (span + 1 == spans_) return;
      next_block(args_.forward, shape_, cursor, span_.block);
      if (span_.block.runs[span_.block.run_count - 1].ends) continue;
      ScanStates(context_, args_, shape_, span_).run_last(edge(span), edge(span + 1));
    }
  }

  void chunk_gradients() {
    for (std::int64_t r = 0; r < span_.block.run_count; ++r) {
      const ScanRun& run = span_.block.runs[r];
      std::fill_n(runs_of_slots_ + run.slot, run.chunks, &run);
    }
    const auto chunk = [this](std::int64_t index, int worker) {
      Workspace& scratch = context_.scratch[static_cast<std::size_t>(worker)];
      const Workspace::Scope scope(scratch);
      const FlushSubnormals flush;
      ScanChunkGradient gradient(context_, args_, shape_, span_);
      gradient.take_scratch(scratch);
      const std::int64_t slot = index / shape_.groups;
      const std::int64_t group = index % shape_.groups;
      const ScanRun& run = *runs_of_slots_[slot];
      const bool first = run.starts && slot == run.slot;
      const bool last = run.ends && slot + 1 == run.slot + run.chunks;
      gradient.run({.slot = slot,
                    .group = group,
                    .start_known = !first || span_.has_initial,
                    .dend_known = !last || span_.has_dfinal},
                   sums_ + slot * shape_.heads + group * shape_.heads_per_group);
    };
    context_.team.parallel_for(span_.block.chunk_count * shape_.groups, std::ref(chunk));
  }

  // From the last chunk of the pack to the first, whatever the spans.
  void add_sums() {
    for (std::int64_t slot = span_.block.chunk_count - 1; slot >= 0; --slot) {
      for (std::int64_t h = 0; h < shape_.heads; ++h) {
        const HeadSums& own = sums_[slot * shape_.heads + h];
        totals_[h].da_log += own.da_log;
        totals_[h].dd += own.dd;
        totals_[h].ddt_bias += own.ddt_bias;
      }
    }
  }

  void write_totals() {
    for (std::int64_t h = 0; h < shape_.heads; ++h) {
      if (args_.da_log_h) args_.da_log_h.as<float>()[h] += static_cast<float>(totals_[h].da_log);
      if (args_.dd_h) args_.dd_h.as<float>()[h] += static_cast<float>(totals_[h].dd);
      if (args_.ddt_bias_h) args_.ddt_bias_h.as<float>()[h] += static_cast<float>(totals_[h].ddt_bias);
    }
  }

  CpuContext& context_;
  const ops::SsdScanBackwardArgs& args_;
  ScanShape shape_;
  std::int64_t chunks_;
  std::int64_t capacity_;  // chunks per span
  std::int64_t spans_;
  ScanSpan span_{};
  float* edges_;     // per span: the states at its start
  float* carry_[2];  // gradients of the states at a span's edge: [0] from the span behind, [1] for the span before
  ScanCursor* cursors_;
  HeadSums* sums_;  // per (slot, head)
  HeadSums* totals_;
  const ScanRun** runs_of_slots_;
};

}  // namespace

void ssd_scan_backward(CpuContext& context, const ops::SsdScanBackwardArgs& args) {
  pass_empty_sequences(args.forward, args.dfinal_state_shpn, args.dinitial_state_shpn);
  const Workspace::Scope scope(context.scratch[0]);
  ScanBackward(context, args).run();
}

}  // namespace strandline::cpu
