// A span of chunks in the backward scan: the states at the start of every chunk and the gradients of the states at the
// end of every chunk.
#pragma once

#include "core/cpu/ssd_scan_chunk.hpp"

namespace strandline::cpu {

/// What a span keeps. "Reversed" means the chunk's last token first: the gradients need sums over the tokens q >= s of
/// a chunk, which in reversed order are the first ones, as a product wants them.
struct ScanSpan {
  ScanBlock block;
  float* b_tiles;    ///< per (slot, group): b in tiles of tile_rows states, [tile][token][state]
  float* c_tiles;    ///< per (slot, group): c likewise, tokens reversed
  float* starts;     ///< per (slot, head): state at the chunk's start
  float* dends;      ///< per (slot, head): gradient of the state at the chunk's end
  bool has_initial;  ///< the sequences come with an initial state
  bool has_dfinal;   ///< and with a gradient of the final state

  const float* b_of(const ScanShape& shape, std::int64_t slot, std::int64_t group) const {
    return b_tiles + (slot * shape.groups + group) * shape.state_rows * shape.chunk;
  }
  const float* c_of(const ScanShape& shape, std::int64_t slot, std::int64_t group) const {
    return c_tiles + (slot * shape.groups + group) * shape.state_rows * shape.chunk;
  }
  float* start_of(const ScanShape& shape, std::int64_t slot, std::int64_t head) const {
    return starts + (slot * shape.heads + head) * shape.state_cells();
  }
  float* dend_of(const ScanShape& shape, std::int64_t slot, std::int64_t head) const {
    return dends + (slot * shape.heads + head) * shape.state_cells();
  }
};

/// The chunks of one span as the state passes see them.
class ScanStates {
 public:
  ScanStates(CpuContext& context, const ops::SsdScanBackwardArgs& args, const ScanShape& shape, ScanSpan& span)
      : context_(context), args_(args), shape_(shape), span_(span) {}

  /// Where the states of a sequence that a span's edge cuts come from and go to; (H, state_cells) each.
  struct Edges {
    const float* before;  ///< state at the span's start
    const float* dafter;  ///< gradient of the state at the span's end
    float* dbefore;       ///< gradient of the state at the span's start
  };

  /// Both passes over all runs of the span.
  void run(const Edges& edges);
  /// The state after the last run of the span, to `after` (H, state_cells).
  void run_last(const float* before, float* after);

 private:
  struct Task {
    const ScanRun& run;
    std::int64_t head;
    std::int64_t panel;
    HeadSteps steps;
    float* weighted;  ///< one panel of x or dy, scaled
    float* spare;     ///< one panel of a state
  };

  Task take_task(const ScanRun& run, std::int64_t head_and_panel, int worker) const;
  void pack_tiles(std::int64_t index);
  void forward(Task& task, const float* before, float* after) const;
  void backward(Task& task, const Edges& edges) const;
  void advance(Task& task, std::int64_t slot, const float* from, float* to) const;
  void retreat(Task& task, std::int64_t slot, float* to) const;
  float* panel_of(float* head_cells, const Task& task) const { return head_cells + task.panel * shape_.panel_cells(); }

  CpuContext& context_;
  const ops::SsdScanBackwardArgs& args_;
  const ScanShape& shape_;
  ScanSpan& span_;
};

}  // namespace strandline::cpu
