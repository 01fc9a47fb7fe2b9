#include "core/cpu/ssd_scan_span.hpp"

#include <algorithm>
#include <functional>

#include "core/cpu/simd/flush_subnormals.hpp"

namespace strandline::cpu {
namespace {

// to[m, columns] (+)= sum over the chunk of left (in tiles of rows) times right (one panel).
void multiply_tiles(const SimdTable& simd, const ScanShape& shape, std::int64_t count, const float* tiles,
                    const float* right, float* to, bool accumulate) {
  for (std::int64_t n = 0; n < shape.state_rows; n += shape.tile_rows, tiles += count * shape.tile_rows) {
    simd.gemm_tile_a_columns(count, tiles, shape.tile_rows, right, to + n * shape.tile_columns, shape.tile_columns,
                             accumulate);
  }
}

}  // namespace

void ScanStates::pack_tiles(std::int64_t index) {
  const SimdTable& simd = context_.simd;
  const std::int64_t slot = index / shape_.groups;
  const std::int64_t group = index % shape_.groups;
  const ScanChunk& chunk = span_.block.chunks[slot];
  const ReadRows b = read_rows(args_.forward.b_tgn, chunk, group);
  const ReadRows c = read_rows(args_.forward.c_tgn, chunk, group);
  auto* b_tile = const_cast<float*>(span_.b_of(shape_, slot, group));
  auto* c_tile = const_cast<float*>(span_.c_of(shape_, slot, group));
  const std::int64_t tile = chunk.count * shape_.tile_rows;
  for (std::int64_t n = 0; n < shape_.state_rows; n += shape_.tile_rows, b_tile += tile, c_tile += tile) {
    const auto rows = static_cast<int>(std::min(shape_.tile_rows, shape_.states - n));
    simd.pack_copied(b.first + n, b.step, rows, simd.gemm_rows, chunk.count, b_tile);
    simd.pack_copied(c.row(chunk.count - 1) + n, -c.step, rows, simd.gemm_rows, chunk.count, c_tile);
  }
}

ScanStates::Task ScanStates::take_task(const ScanRun& run, std::int64_t head_and_panel, int worker) const {
  Workspace& scratch = context_.scratch[static_cast<std::size_t>(worker)];
  Task task{.run = run,
            .head = head_and_panel / shape_.panels,
            .panel = head_and_panel % shape_.panels,
            .steps = take_steps(scratch, shape_),
            .weighted = scratch.take(DType::f32, {shape_.chunk, shape_.tile_columns}).as<float>(),
            .spare = scratch.take(DType::f32, {shape_.panel_cells()}).as<float>()};
  task.steps.slope = nullptr;
  return task;
}

void ScanStates::run(const Edges& edges) {
  const auto pack = [this](std::int64_t index, int) { pack_tiles(index); };
  context_.team.parallel_for(span_.block.chunk_count * shape_.groups, std::ref(pack));
  const std::int64_t per_run = shape_.heads * shape_.panels;
  const std::int64_t tasks = span_.block.run_count * per_run;
  const auto pass = [&](std::int64_t index, int worker) {
    const Workspace::Scope scope(context_.scratch[static_cast<std::size_t>(worker)]);
    const FlushSubnormals flush;
    const std::int64_t number = index % tasks;
    Task task = take_task(span_.block.runs[number / per_run], number % per_run, worker);
    if (index < tasks) {
      forward(task, edges.before, nullptr);
    } else {
      backward(task, edges);
    }
  };
  context_.team.parallel_for(2 * tasks, std::ref(pass));
}

void ScanStates::run_last(const float* before, float* after) {
  const ScanRun& last = span_.block.runs[span_.block.run_count - 1];
  const auto pack = [&](std::int64_t index, int) { pack_tiles(last.slot * shape_.groups + index); };
  context_.team.parallel_for(last.chunks * shape_.groups, std::ref(pack));
  const auto pass = [&](std::int64_t index, int worker) {
    const Workspace::Scope scope(context_.scratch[static_cast<std::size_t>(worker)]);
    const FlushSubnormals flush;
    Task task = take_task(last, index, worker);
    forward(task, before, after);
  };
  context_.team.parallel_for(shape_.heads * shape_.panels, std::ref(pass));
}

void ScanStates::forward(Task& task, const float* before, float* after) const {
  float* start = panel_of(span_.start_of(shape_, task.run.slot, task.head), task);
  if (!task.run.starts) {
    std::copy_n(before + task.head * shape_.state_cells() + task.panel * shape_.panel_cells(), shape_.panel_cells(),
                start);
  } else if (span_.has_initial) {
    load_panel(shape_, read_state(args_.forward.initial_state_shpn, task.run.sequence, task.head), task.panel, start);
  } else {
    std::fill_n(start, shape_.panel_cells(), 0.0F);
  }
  for (std::int64_t i = 1; i < task.run.chunks; ++i) {
    const std::int64_t slot = task.run.slot + i;
    float* next = panel_of(span_.start_of(shape_, slot, task.head), task);
    advance(task, slot - 1, start, next);
    start = next;
  }
  if (!after) return;
  advance(task, task.run.slot + task.run.chunks - 1, start, panel_of(after + task.head * shape_.state_cells(), task));
}

// The same arithmetic as in the forward scan: to = exp(A_last) from + sum_s exp(A_last - A_s) delta_s b_s (outer) x_s.
void ScanStates::advance(Task& task, std::int64_t slot, const float* from, float* to) const {
  const SimdTable& simd = context_.simd;
  const ScanChunk& chunk = span_.block.chunks[slot];
  compute_steps(simd, args_.forward, chunk, task.head, task.steps);
  const ReadRows x = read_rows(args_.forward.x_thp, chunk, task.head);
  const std::int64_t columns = shape_.tile_columns;
  simd.pack_copied(x.first + task.panel * columns, x.step, static_cast<int>(shape_.panel_width(task.panel)),
                   simd.gemm_columns, chunk.count, task.weighted);
  for (std::int64_t s = 0; s < chunk.count; ++s) {
    float* row = task.weighted + s * columns;
    simd.scale(columns, task.steps.to_end[s] * task.steps.delta[s], row, row);
  }
  simd.scale(shape_.panel_cells(), task.steps.total, from, to);
  multiply_tiles(simd, shape_, chunk.count, span_.b_of(shape_, slot, shape_.group_of(task.head)), task.weighted, to,
                 true);
}

void ScanStates::backward(Task& task, const Edges& edges) const {
  const std::int64_t last = task.run.slot + task.run.chunks - 1;
  float* dend = panel_of(span_.dend_of(shape_, last, task.head), task);
  const std::int64_t place = task.head * shape_.state_cells() + task.panel * shape_.panel_cells();
  if (!task.run.ends) {
    std::copy_n(edges.dafter + place, shape_.panel_cells(), dend);
  } else if (span_.has_dfinal) {
    load_panel(shape_, read_state(args_.dfinal_state_shpn, task.run.sequence, task.head), task.panel, dend);
  } else {
    std::fill_n(dend, shape_.panel_cells(), 0.0F);
  }
  for (std::int64_t slot = last; slot > task.run.slot; --slot) {
    retreat(task, slot, panel_of(span_.dend_of(shape_, slot - 1, task.head), task));
  }
  if (!task.run.starts) {
    retreat(task, task.run.slot, edges.dbefore + place);
  } else if (args_.dinitial_state_shpn) {
    retreat(task, task.run.slot, task.spare);
    store_panel(shape_, task.spare, task.panel, write_state(args_.dinitial_state_shpn, task.run.sequence, task.head));
  }
}

// Gradient at the chunk's start: to = exp(A_last) dend + sum_q exp(A_q) c_q (outer) dy_q.
void ScanStates::retreat(Task& task, std::int64_t slot, float* to) const {
  const SimdTable& simd = context_.simd;
  const ScanChunk& chunk = span_.block.chunks[slot];
  compute_steps(simd, args_.forward, chunk, task.head, task.steps);
  const ReadRows dy = read_rows(args_.dy_thp, chunk, task.head);
  const std::int64_t columns = shape_.tile_columns;
  simd.pack_copied(dy.row(chunk.count - 1) + task.panel * columns, -dy.step,
                   static_cast<int>(shape_.panel_width(task.panel)), simd.gemm_columns, chunk.count, task.weighted);
  for (std::int64_t j = 0; j < chunk.count; ++j) {
    float* row = task.weighted + j * columns;
    simd.scale(columns, task.steps.from_start[chunk.count - 1 - j], row, row);
  }
  const float* dend = panel_of(span_.dend_of(shape_, slot, task.head), task);
  simd.scale(shape_.panel_cells(), task.steps.total, dend, to);
  multiply_tiles(simd, shape_, chunk.count, span_.c_of(shape_, slot, shape_.group_of(task.head)), task.weighted, to,
                 true);
}

}  // namespace strandline::cpu
