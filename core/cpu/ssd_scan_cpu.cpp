#include "core/cpu/ssd_scan_cpu.hpp"

#include <algorithm>
#include <functional>

#include "core/base/checked.hpp"
#include "core/cpu/simd/flush_subnormals.hpp"
#include "core/cpu/ssd_scan_chunk.hpp"

namespace strandline::cpu {
namespace {

// Chunks whose scores are kept at once. 16 chunks of 64 tokens and 128 states are 0.8 MB per group; more only where
// there are more threads to feed. Results do not depend on it.
constexpr std::int64_t kBlockChunks = 16;

/// The pack goes through in blocks of chunks, each in two parallel phases:
///   1. per (chunk, group): scores c b^T, shared by the group's heads, and b in the order in which phase 2 reads it;
///   2. per (run of chunks, head, part of P): the chunks in order, the state in cache from chunk to chunk.
/// Rows of the state never meet, so that heads and parts of P are all the parallelism that a long sequence needs, and
/// no state but the current one is ever stored: scratch does not grow with T.
class ScanForward {
 public:
  ScanForward(CpuContext& context, const ops::SsdScanArgs& args)
      : context_(context),
        args_(args),
        shape_(args, context.simd),
        block_(take_block(context.scratch[0], std::max<std::int64_t>(kBlockChunks, 2 * context.team.threads()))) {
    const auto take = [&](std::int64_t rows, std::int64_t columns) {
      return context.scratch[0].take(DType::f32, {rows, columns}).as<float>();
    };
    scores_ = take(block_.capacity * shape_.groups, shape_.chunk_rows * shape_.chunk_columns);
    b_tiles_ = take(block_.capacity * shape_.groups, shape_.state_rows * shape_.chunk);
    for (float*& carry : carry_) carry = take(shape_.heads, shape_.state_cells());
  }

  void run() {
    const auto group = [this](std::int64_t index, int worker) { prepare_group(index, worker); };
    const auto head = [this](std::int64_t index, int worker) { scan_task(index, worker); };
    ScanCursor cursor;
    while (next_block(args_, shape_, cursor, block_)) {
      context_.team.parallel_for(block_.chunk_count * shape_.groups, std::ref(group));
      // A part of P repeats the mask: only worth it where heads alone do not feed the threads.
      parts_ = block_.run_count * shape_.heads < 2 * context_.team.threads() ? shape_.panels : 1;
      context_.team.parallel_for(block_.run_count * shape_.heads * parts_, std::ref(head));
      std::swap(carry_[0], carry_[1]);
    }
  }

 private:
  /// What one task of phase 2 works on, and its scratch.
  struct Task {
    ScanRun run;
    std::int64_t head;
    std::int64_t panel_begin;
    std::int64_t panel_end;
    HeadSteps steps;
    float* left;      ///< tile_rows rows of [exp(A_q) c_q | mask_q], left_columns() apart
    float* panels;    ///< per panel: state_rows rows of state, then `chunk` rows of x
    float* weighted;  ///< one panel of x, scaled by what is left of it at the chunk's end
    float* edge;      ///< one tile
    bool has_state;   ///< false while the state is zero
  };

  std::int64_t left_columns() const { return shape_.state_rows + shape_.chunk_columns; }
  std::int64_t panel_floats() const { return (shape_.state_rows + shape_.chunk) * shape_.tile_columns; }
  float* state_of(const Task& task, std::int64_t panel) const {
    return task.panels + (panel - task.panel_begin) * panel_floats();
  }
  float* x_of(const Task& task, std::int64_t panel) const { return state_of(task, panel) + shape_.panel_cells(); }
  const float* scores_of(std::int64_t slot, std::int64_t group) const {
    return scores_ + (slot * shape_.groups + group) * shape_.chunk_rows * shape_.chunk_columns;
  }
  const float* b_tiles_of(std::int64_t slot, std::int64_t group) const {
    return b_tiles_ + (slot * shape_.groups + group) * shape_.state_rows * shape_.chunk;
  }

  void prepare_group(std::int64_t index, int worker);
  void scan_task(std::int64_t index, int worker);
  void begin_state(Task& task) const;
  void end_state(const Task& task) const;
  void scan_chunk(Task& task, std::int64_t slot, bool state_wanted) const;
  void write_outputs(const Task& task, std::int64_t slot) const;
  void left_rows(const Task& task, std::int64_t slot, std::int64_t q0) const;
  void output_tile(const Task& task, const ScanChunk& chunk, std::int64_t q0, std::int64_t panel) const;
  void advance_state(const Task& task, std::int64_t slot) const;

  CpuContext& context_;
  const ops::SsdScanArgs& args_;
  ScanShape shape_;
  ScanBlock block_;
  float* scores_;
  float* b_tiles_;
  float* carry_[2];  // states of the sequence that a block cuts: [0] from the last block, [1] for the next
  std::int64_t parts_ = 1;
};

void ScanForward::prepare_group(std::int64_t index, int worker) {
  const SimdTable& simd = context_.simd;
  Workspace& scratch = context_.scratch[static_cast<std::size_t>(worker)];
  const Workspace::Scope scope(scratch);
  const std::int64_t slot = index / shape_.groups;
  const std::int64_t group = index % shape_.groups;
  const ScanChunk& chunk = block_.chunks[slot];
  const ReadRows b = read_rows(args_.b_tgn, chunk, group);
  const ReadRows c = read_rows(args_.c_tgn, chunk, group);

  auto* tiles = const_cast<float*>(b_tiles_of(slot, group));
  for (std::int64_t n = 0; n < shape_.state_rows; n += shape_.tile_rows, tiles += chunk.count * shape_.tile_rows) {
    const auto rows = static_cast<int>(std::min(shape_.tile_rows, shape_.states - n));
    simd.pack_copied(b.first + n, b.step, rows, simd.gemm_rows, chunk.count, tiles);
  }
  auto* scores = const_cast<float*>(scores_of(slot, group));
  auto* panel = scratch.take(DType::f32, {shape_.states, shape_.tile_columns}).as<float>();
  for (std::int64_t s = 0; s < chunk.count; s += shape_.tile_columns) {
    const auto columns = static_cast<int>(std::min(shape_.tile_columns, chunk.count - s));
    simd.pack_transposed(b.row(s), b.step, columns, simd.gemm_columns, shape_.states, panel);
    // Only tiles that reach the diagonal: q >= s somewhere.
    for (std::int64_t q = s / shape_.tile_rows * shape_.tile_rows; q < chunk.count; q += shape_.tile_rows) {
      const auto rows = static_cast<int>(std::min(shape_.tile_rows, chunk.count - q));
      simd.gemm_tile_a_rows(shape_.states, c.row(q), c.step, rows, panel, scores + q * shape_.chunk_columns + s,
                            shape_.chunk_columns, false);
    }
  }
}

void ScanForward::scan_task(std::int64_t index, int worker) {
  Workspace& scratch = context_.scratch[static_cast<std::size_t>(worker)];
  const Workspace::Scope scope(scratch);
  const FlushSubnormals flush;
  const auto take = [&](std::int64_t count) { return scratch.take(DType::f32, {count}).as<float>(); };
  const std::int64_t part = index % parts_;
  const std::int64_t panels = shape_.panels / parts_;
  Task task{.run = block_.runs[index / parts_ / shape_.heads],
            .head = index / parts_ % shape_.heads,
            .panel_begin = part * panels,
            .panel_end = part * panels + panels,
            .steps = take_steps(scratch, shape_),
            .left = take(shape_.tile_rows * left_columns()),
            .panels = take(panels * panel_floats()),
            .weighted = take(shape_.chunk * shape_.tile_columns),
            .edge = take(shape_.tile_rows * shape_.tile_columns),
            .has_state = false};
  task.steps.slope = nullptr;
  begin_state(task);
  for (std::int64_t i = 0; i < task.run.chunks; ++i) {
    const bool last = task.run.ends && i + 1 == task.run.chunks;
    scan_chunk(task, task.run.slot + i, !last || args_.final_state_shpn);
  }
  end_state(task);
}

void ScanForward::begin_state(Task& task) const {
  task.has_state = !task.run.starts || args_.initial_state_shpn;
  if (!task.has_state) return;
  for (std::int64_t panel = task.panel_begin; panel < task.panel_end; ++panel) {
    if (task.run.starts) {
      load_panel(shape_, read_state(args_.initial_state_shpn, task.run.sequence, task.head), panel,
                 state_of(task, panel));
    } else {
      const float* from = carry_[0] + task.head * shape_.state_cells() + panel * shape_.panel_cells();
      std::copy_n(from, shape_.panel_cells(), state_of(task, panel));
    }
  }
}

void ScanForward::end_state(const Task& task) const {
  if (task.run.ends && !args_.final_state_shpn) return;
  for (std::int64_t panel = task.panel_begin; panel < task.panel_end; ++panel) {
    if (task.run.ends) {
      store_panel(shape_, state_of(task, panel), panel,
                  write_state(args_.final_state_shpn, task.run.sequence, task.head));
    } else {
      float* to = carry_[1] + task.head * shape_.state_cells() + panel * shape_.panel_cells();
      std::copy_n(state_of(task, panel), shape_.panel_cells(), to);
    }
  }
}

void ScanForward::scan_chunk(Task& task, std::int64_t slot, bool state_wanted) const {
  const ScanChunk& chunk = block_.chunks[slot];
  compute_steps(context_.simd, args_, chunk, task.head, task.steps);
  const ReadRows x = read_rows(args_.x_thp, chunk, task.head);
  for (std::int64_t panel = task.panel_begin; panel < task.panel_end; ++panel) {
    context_.simd.pack_copied(x.first + panel * shape_.tile_columns, x.step,
                              static_cast<int>(shape_.panel_width(panel)), context_.simd.gemm_columns, chunk.count,
                              x_of(task, panel));
  }
  write_outputs(task, slot);
  if (state_wanted) advance_state(task, slot);
  task.has_state = true;
}

// y = [exp(A_q) c_q | mask_q] [state ; x]: what the state brings and what the chunk's own tokens bring is one product,
// one chain of additions and one store per element. d x rides on the mask's diagonal.
void ScanForward::write_outputs(const Task& task, std::int64_t slot) const {
  const ScanChunk& chunk = block_.chunks[slot];
  for (std::int64_t q0 = 0; q0 < chunk.count; q0 += shape_.tile_rows) {
    left_rows(task, slot, q0);
    for (std::int64_t panel = task.panel_begin; panel < task.panel_end; ++panel) output_tile(task, chunk, q0, panel);
  }
}

void ScanForward::left_rows(const Task& task, std::int64_t slot, std::int64_t q0) const {
  const SimdTable& simd = context_.simd;
  const ScanChunk& chunk = block_.chunks[slot];
  const std::int64_t group = shape_.group_of(task.head);
  const ReadRows c = read_rows(args_.c_tgn, chunk, group);
  const float* scores = scores_of(slot, group);
  const float d = args_.d_h ? args_.d_h.as<float>()[task.head] : 0.0F;
  const std::int64_t q_end = std::min(q0 + shape_.tile_rows, chunk.count);
  for (std::int64_t q = q0; q < q_end; ++q) {
    float* row = task.left + (q - q0) * left_columns();
    if (task.has_state) {
      simd.scale(shape_.states, task.steps.from_start[q], c.row(q), row);
      std::fill(row + shape_.states, row + shape_.state_rows, 0.0F);
    }
    float* mask = row + shape_.state_rows;
    simd.scan_mask_row({.count = q + 1,
                        .filled = q_end,
                        .row_high = task.steps.high[q],
                        .row_low = task.steps.low[q],
                        .high = task.steps.high,
                        .low = task.steps.low,
                        .scores = scores + q * shape_.chunk_columns,
                        .scale = task.steps.delta},
                       mask);
    mask[q] += d;
  }
}

void ScanForward::output_tile(const Task& task, const ScanChunk& chunk, std::int64_t q0, std::int64_t panel) const {
  const SimdTable& simd = context_.simd;
  const WriteRows y = write_rows(args_.y_thp, chunk, task.head);
  const std::int64_t skipped = task.has_state ? 0 : shape_.state_rows;
  const std::int64_t rows = std::min(shape_.tile_rows, chunk.count - q0);
  const std::int64_t columns = shape_.panel_width(panel);
  const std::int64_t depth = shape_.state_rows - skipped + q0 + rows;
  const float* right = state_of(task, panel) + skipped * shape_.tile_columns;
  float* to = y.row(q0) + panel * shape_.tile_columns;
  const bool whole = rows == shape_.tile_rows && columns == shape_.tile_columns;
  simd.gemm_tile_a_rows(depth, task.left + skipped, left_columns(), static_cast<int>(rows), right,
                        whole ? to : task.edge, whole ? y.step : shape_.tile_columns, false);
  if (whole) return;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy_n(task.edge + row * shape_.tile_columns, columns, to + row * y.step);
  }
}

// state <- exp(A_last) state + sum_s exp(A_last - A_s) delta_s b_s (outer) x_s
void ScanForward::advance_state(const Task& task, std::int64_t slot) const {
  const SimdTable& simd = context_.simd;
  const ScanChunk& chunk = block_.chunks[slot];
  const std::int64_t columns = shape_.tile_columns;
  for (std::int64_t panel = task.panel_begin; panel < task.panel_end; ++panel) {
    float* state = state_of(task, panel);
    const float* x = x_of(task, panel);
    for (std::int64_t s = 0; s < chunk.count; ++s) {
      simd.scale(columns, task.steps.to_end[s] * task.steps.delta[s], x + s * columns, task.weighted + s * columns);
    }
    if (task.has_state) simd.scale(shape_.panel_cells(), task.steps.total, state, state);
    const float* b = b_tiles_of(slot, shape_.group_of(task.head));
    for (std::int64_t n = 0; n < shape_.state_rows; n += shape_.tile_rows, b += chunk.count * shape_.tile_rows) {
      simd.gemm_tile_a_columns(chunk.count, b, shape_.tile_rows, task.weighted, state + n * columns, columns,
                               task.has_state);
    }
  }
}

}  // namespace

void ssd_scan(CpuContext& context, const ops::SsdScanArgs& args) {
  pass_empty_sequences(args, args.initial_state_shpn, args.final_state_shpn);
  const Workspace::Scope scope(context.scratch[0]);
  ScanForward(context, args).run();
}

}  // namespace strandline::cpu
