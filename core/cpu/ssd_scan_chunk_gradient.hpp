// Gradients inside one chunk of the scan, for all heads of one group.
#pragma once

#include "core/cpu/ssd_scan_span.hpp"

namespace strandline::cpu {

/// One head's share of the gradients that are summed over tokens.
struct HeadSums {
  double da_log;
  double dd;
  double ddt_bias;
};

/// The gradients of one (chunk, group), given the states at the chunk's two ends. Writes dx, ddt, db and dc of the
/// chunk and returns the sums. One object works on one (slot, group); its scratch lives as long as the enclosing Scope.
class ScanChunkGradient {
 public:
  ScanChunkGradient(const CpuContext& context, const ops::SsdScanBackwardArgs& args, const ScanShape& shape,
                    const ScanSpan& span);

  /// Takes scratch, about (4 N + 3 chunk) * chunk + chunk * 3 P floats.
  void take_scratch(Workspace& scratch);
  /// `start_known`, `dend_known`: false where that state is zero. `sums` has one entry per head of the group.
  struct Place {
    std::int64_t slot;
    std::int64_t group;
    bool start_known;
    bool dend_known;
  };
  void run(const Place& place, HeadSums* sums);

 private:
  const ScanChunk& chunk() const { return span_.block.chunks[place_.slot]; }
  std::int64_t count() const { return chunk().count; }
  std::int64_t row_floats() const { return shape_.panels * shape_.tile_columns; }
  /// A matrix in panels of tile_columns columns: panel i of one with `rows` rows.
  float* panel_at(float* panels, std::int64_t rows, std::int64_t i) const {
    return panels + i * rows * shape_.tile_columns;
  }

  void prepare_group();
  void prepare_head(std::int64_t head);
  void pair_products();
  void from_start_state();
  void from_end_gradient();
  void state_product(const float* cells, const float* right_panels, float* to_panels, const float* against_panels,
                     float* dots);
  void pair_gradients(double& dd);
  void left_rows(std::int64_t s0);
  void x_gradient_tile(std::int64_t s0);
  void step_gradients(HeadSums& sums);
  void finish_group();
  void write_columns(const float* panels, const View& to, bool reversed);

  const CpuContext& context_;
  const ops::SsdScanBackwardArgs& args_;
  const ScanShape& shape_;
  const ScanSpan& span_;
  Place place_{};
  std::int64_t head_ = 0;
  HeadSteps steps_{};

  // Per group. Columns j stand for tokens reversed, columns s for tokens in order.
  float* c_columns_ = nullptr;   // c^T: panels [j][N]
  float* b_columns_ = nullptr;   // b^T: panels [s][N]
  float* dc_columns_ = nullptr;  // dc^T, summed over heads
  float* db_columns_ = nullptr;  // db^T, summed over heads
  float* scores_ = nullptr;      // [s][j]: b_s . c_j
  float* dscores_ = nullptr;     // [s][j], summed over heads
  // Per head.
  float* x_columns_ = nullptr;      // x^T: panels [s][P]
  float* dy_columns_ = nullptr;     // dy^T: panels [j][P]
  float* dy_rows_ = nullptr;        // dy reversed: panels of P, [j][columns]
  float* products_ = nullptr;       // [s][j]: x_s . dy_j
  float* head_columns_ = nullptr;   // one head's dc^T or db^T
  float* state_tile_ = nullptr;     // tile_rows rows of a state, all of P
  float* u_ = nullptr;              // gradient of delta_s x_s: [s][P]
  float* left_ = nullptr;           // tile_rows rows of exp(A_last - A_s) b_s
  float* weights_ = nullptr;        // tile_rows rows of scores times decay
  float* negative_high_ = nullptr;  // -A_j, reversed
  float* negative_low_ = nullptr;
  float* pairs_ = nullptr;       // sums over s < t of what pairs (s, j) pass through
  float* crossing_ = nullptr;    // per token t: gradient of delta_t a from pairs that lie on both sides of t
  float* from_state_ = nullptr;  // per j: what the start state passes to y_j
  float* to_state_ = nullptr;    // per s: what token s passes to the end state
  float* x_dot_u_ = nullptr;
  double through_ = 0.0;  // what the start state passes to the end state
};

}  // namespace strandline::cpu
