#include "core/cpu/ssd_scan_chunk_gradient.hpp"

#include <algorithm>

#include "core/base/checked.hpp"

namespace strandline::cpu {

ScanChunkGradient::ScanChunkGradient(const CpuContext& context, const ops::SsdScanBackwardArgs& args,
                                     const ScanShape& shape, const ScanSpan& span)
    : context_(context), args_(args), shape_(shape), span_(span) {}

void ScanChunkGradient::take_scratch(Workspace& scratch) {
  const auto take = [&](std::int64_t rows, std::int64_t columns) {
    return scratch.take(DType::f32, {rows, columns}).as<float>();
  };
  const std::int64_t q = shape_.chunk_columns;
  for (float** columns : {&c_columns_, &b_columns_, &dc_columns_, &db_columns_, &head_columns_}) {
    *columns = take(shape_.state_rows, q);
  }
  for (float** pairs : {&scores_, &dscores_, &products_}) *pairs = take(shape_.chunk_rows, q);
  for (float** columns : {&x_columns_, &dy_columns_}) *columns = take(shape_.width, q);
  dy_rows_ = take(shape_.chunk, row_floats());
  u_ = take(shape_.chunk_rows, row_floats());
  state_tile_ = take(shape_.tile_rows, row_floats());
  left_ = take(shape_.tile_rows, shape_.state_rows);
  weights_ = take(shape_.tile_rows, q);
  for (float** vector : {&negative_high_, &negative_low_, &pairs_, &crossing_, &from_state_, &to_state_, &x_dot_u_}) {
    *vector = take(1, q);
  }
  steps_ = take_steps(scratch, shape_);
}

void ScanChunkGradient::run(const Place& place, HeadSums* sums) {
  place_ = place;
  prepare_group();
  for (std::int64_t i = 0; i < shape_.heads_per_group; ++i) {
    sums[i] = {};
    prepare_head(place.group * shape_.heads_per_group + i);
    pair_products();
    from_start_state();
    from_end_gradient();
    pair_gradients(sums[i].dd);
    step_gradients(sums[i]);
  }
  finish_group();
}

void ScanChunkGradient::prepare_group() {
  const SimdTable& simd = context_.simd;
  const std::int64_t columns = shape_.tile_columns;
  const ReadRows b = read_rows(args_.forward.b_tgn, chunk(), place_.group);
  const ReadRows c = read_rows(args_.forward.c_tgn, chunk(), place_.group);
  for (std::int64_t j = 0; j < count(); j += columns) {
    const auto lanes = static_cast<int>(std::min(columns, count() - j));
    simd.pack_transposed(c.row(count() - 1 - j), -c.step, lanes, simd.gemm_columns, shape_.states,
                         panel_at(c_columns_, shape_.state_rows, j / columns));
    simd.pack_transposed(b.row(j), b.step, lanes, simd.gemm_columns, shape_.states,
                         panel_at(b_columns_, shape_.state_rows, j / columns));
    // Pairs (s, j) with s <= q = count - 1 - j.
    for (std::int64_t s = 0; s < count() - j; s += shape_.tile_rows) {
      const auto rows = static_cast<int>(std::min(shape_.tile_rows, count() - s));
      simd.gemm_tile_a_rows(shape_.states, b.row(s), b.step, rows, panel_at(c_columns_, shape_.state_rows, j / columns),
                            scores_ + s * shape_.chunk_columns + j, shape_.chunk_columns, false);
    }
  }
  std::fill_n(dc_columns_, shape_.state_rows * shape_.chunk_columns, 0.0F);
  std::fill_n(db_columns_, shape_.state_rows * shape_.chunk_columns, 0.0F);
  std::fill_n(dscores_, shape_.chunk_rows * shape_.chunk_columns, 0.0F);
}

void ScanChunkGradient::prepare_head(std::int64_t head) {
  const SimdTable& simd = context_.simd;
  const std::int64_t columns = shape_.tile_columns;
  head_ = head;
  compute_steps(simd, args_.forward, chunk(), head, steps_);
  for (std::int64_t j = 0; j < count(); ++j) {
    negative_high_[j] = -steps_.high[count() - 1 - j];
    negative_low_[j] = -steps_.low[count() - 1 - j];
  }
  std::fill_n(pairs_, shape_.chunk_columns, 0.0F);
  const ReadRows x = read_rows(args_.forward.x_thp, chunk(), head);
  const ReadRows dy = read_rows(args_.dy_thp, chunk(), head);
  for (std::int64_t j = 0; j < count(); j += columns) {
    const auto lanes = static_cast<int>(std::min(columns, count() - j));
    simd.pack_transposed(x.row(j), x.step, lanes, simd.gemm_columns, shape_.width,
                         panel_at(x_columns_, shape_.width, j / columns));
    simd.pack_transposed(dy.row(count() - 1 - j), -dy.step, lanes, simd.gemm_columns, shape_.width,
                         panel_at(dy_columns_, shape_.width, j / columns));
  }
  for (std::int64_t panel = 0; panel < shape_.panels; ++panel) {
    simd.pack_copied(dy.row(count() - 1) + panel * columns, -dy.step, static_cast<int>(shape_.panel_width(panel)),
                     simd.gemm_columns, count(), panel_at(dy_rows_, count(), panel));
  }
}

void ScanChunkGradient::pair_products() {
  const ReadRows x = read_rows(args_.forward.x_thp, chunk(), head_);
  for (std::int64_t j = 0; j < count(); j += shape_.tile_columns) {
    const float* right = panel_at(dy_columns_, shape_.width, j / shape_.tile_columns);
    for (std::int64_t s = 0; s < count() - j; s += shape_.tile_rows) {
      const auto rows = static_cast<int>(std::min(shape_.tile_rows, count() - s));
      context_.simd.gemm_tile_a_rows(shape_.width, x.row(s), x.step, rows, right,
                                     products_ + s * shape_.chunk_columns + j, shape_.chunk_columns, false);
    }
  }
}

// dc_j += exp(A_j) start dy_j; what the start state passes to y_j is c_j times that.
void ScanChunkGradient::from_start_state() {
  std::fill_n(from_state_, shape_.chunk_columns, 0.0F);
  through_ = 0.0;
  if (!place_.start_known) return;
  const std::int64_t columns = shape_.tile_columns;
  for (std::int64_t j = 0; j < count(); ++j) x_dot_u_[j] = steps_.from_start[count() - 1 - j];
  for (std::int64_t panel = 0; panel * columns < count(); ++panel) {
    float* row = panel_at(dy_columns_, shape_.width, panel);
    for (std::int64_t p = 0; p < shape_.width; ++p, row += columns) {
      context_.simd.multiply(columns, row, x_dot_u_ + panel * columns, row);
    }
  }
  const float* start = span_.start_of(shape_, place_.slot, head_);
  state_product(start, dy_columns_, dc_columns_, c_columns_, from_state_);
  if (!place_.dend_known) return;
  const float* dend = span_.dend_of(shape_, place_.slot, head_);
  through_ =
      static_cast<double>(steps_.total) * static_cast<double>(context_.simd.dot(shape_.state_cells(), start, dend));
}

// db_s += exp(A_last - A_s) delta_s dend x_s; what token s passes to the end state is b_s times that.
void ScanChunkGradient::from_end_gradient() {
  std::fill_n(to_state_, shape_.chunk_columns, 0.0F);
  if (!place_.dend_known) return;
  const std::int64_t columns = shape_.tile_columns;
  for (std::int64_t s = 0; s < count(); ++s) x_dot_u_[s] = steps_.to_end[s] * steps_.delta[s];
  for (std::int64_t panel = 0; panel * columns < count(); ++panel) {
    float* row = panel_at(x_columns_, shape_.width, panel);
    for (std::int64_t p = 0; p < shape_.width; ++p, row += columns) {
      context_.simd.multiply(columns, row, x_dot_u_ + panel * columns, row);
    }
  }
  state_product(span_.dend_of(shape_, place_.slot, head_), x_columns_, db_columns_, b_columns_, to_state_);
}

// head = cells (N, P) times right (P, tokens); to += head; dots = sum over N of head * against.
void ScanChunkGradient::state_product(const float* cells, const float* right_panels, float* to_panels,
                                      const float* against_panels, float* dots) {
  const SimdTable& simd = context_.simd;
  const std::int64_t columns = shape_.tile_columns;
  for (std::int64_t n = 0; n < shape_.state_rows; n += shape_.tile_rows) {
    for (std::int64_t row = 0; row < shape_.tile_rows; ++row) {
      for (std::int64_t panel = 0; panel < shape_.panels; ++panel) {
        std::copy_n(cells + panel * shape_.panel_cells() + (n + row) * columns, columns,
                    state_tile_ + row * row_floats() + panel * columns);
      }
    }
    for (std::int64_t j = 0; j < count(); j += columns) {
      const float* right = right_panels + j * shape_.width;
      simd.gemm_tile_a_rows(shape_.width, state_tile_, row_floats(), simd.gemm_rows, right,
                            head_columns_ + j * shape_.state_rows + n * columns, columns, false);
    }
  }
  const std::int64_t used = round_up(count(), columns);
  for (std::int64_t j = 0; j < count(); j += columns) {
    simd.column_dots(shape_.states, head_columns_ + j * shape_.state_rows, against_panels + j * shape_.state_rows,
                     dots + j);
  }
  simd.add(shape_.state_rows * used, head_columns_, to_panels);
}

// Row by row of s, upwards: pairs_ holds, per j, the sum over all earlier s; its first entries are the pairs that have
// token t = s between them, and nothing is ever taken away again.
void ScanChunkGradient::pair_gradients(double& dd) {
  const SimdTable& simd = context_.simd;
  for (std::int64_t s0 = 0; s0 < count(); s0 += shape_.tile_rows) {
    const std::int64_t s_end = std::min(s0 + shape_.tile_rows, count());
    left_rows(s0);
    for (std::int64_t s = s0; s < s_end; ++s) {
      const std::int64_t later = count() - s;
      const float* products = products_ + s * shape_.chunk_columns;
      crossing_[s] = simd.sum(later, pairs_);
      dd += static_cast<double>(products[later - 1]);
      simd.scan_gradient_row({.mask = {.count = later,
                                       .filled = count() - s0,
                                       .row_high = -steps_.high[s],
                                       .row_low = -steps_.low[s],
                                       .high = negative_high_,
                                       .low = negative_low_,
                                       .scores = scores_ + s * shape_.chunk_columns,
                                       .scale = nullptr},
                              .delta = steps_.delta[s],
                              .products = products,
                              .weights = weights_ + (s - s0) * shape_.chunk_columns,
                              .dscores = dscores_ + s * shape_.chunk_columns,
                              .pairs = pairs_});
    }
    x_gradient_tile(s0);
  }
}

void ScanChunkGradient::left_rows(std::int64_t s0) {
  if (!place_.dend_known) return;
  const ReadRows b = read_rows(args_.forward.b_tgn, chunk(), place_.group);
  const std::int64_t s_end = std::min(s0 + shape_.tile_rows, count());
  for (std::int64_t s = s0; s < s_end; ++s) {
    context_.simd.scale(shape_.states, steps_.to_end[s], b.row(s), left_ + (s - s0) * shape_.state_rows);
  }
}

// u_s = exp(A_last - A_s) dend^T b_s + sum_{q >= s} exp(A_q - A_s) (b_s . c_q) dy_q, the gradient of delta_s x_s.
void ScanChunkGradient::x_gradient_tile(std::int64_t s0) {
  const SimdTable& simd = context_.simd;
  const std::int64_t columns = shape_.tile_columns;
  const auto rows = static_cast<int>(std::min(shape_.tile_rows, count() - s0));
  for (std::int64_t panel = 0; panel < shape_.panels; ++panel) {
    float* to = u_ + s0 * row_floats() + panel * columns;
    if (place_.dend_known) {
      const float* dend = span_.dend_of(shape_, place_.slot, head_) + panel * shape_.panel_cells();
      simd.gemm_tile_a_rows(shape_.states, left_, shape_.state_rows, rows, dend, to, row_floats(), false);
    }
    simd.gemm_tile_a_rows(count() - s0, weights_, shape_.chunk_columns, rows, panel_at(dy_rows_, count(), panel), to,
                          row_floats(), place_.dend_known);
  }
  const ReadRows x = read_rows(args_.forward.x_thp, chunk(), head_);
  const ReadRows dy = read_rows(args_.dy_thp, chunk(), head_);
  const float d = args_.forward.d_h ? args_.forward.d_h.as<float>()[head_] : 0.0F;
  for (std::int64_t s = s0; s < s0 + rows; ++s) {
    const float* u = u_ + s * row_floats();
    x_dot_u_[s] = simd.dot(shape_.width, x.row(s), u);
    if (!args_.dx_thp) continue;
    float* dx = write_rows(args_.dx_thp, chunk(), head_).row(s);
    simd.scale(shape_.width, steps_.delta[s], u, dx);
    simd.add_scaled(shape_.width, d, dy.row(s), dx);
  }
}

// delta_t scales x_t, and delta_t a stands in every decay that crosses t: pairs, the start state's way to tokens q >=
// t, tokens s < t on their way to the end state, and the start state's way through the whole chunk.
void ScanChunkGradient::step_gradients(HeadSums& sums) {
  const double a = static_cast<double>(steps_.a);
  double from_state = through_;
  for (std::int64_t j = 0; j < count(); ++j) {  // upwards in j is downwards in t
    from_state += static_cast<double>(from_state_[j]);
    pairs_[count() - 1 - j] = static_cast<float>(from_state);
  }
  double to_state = 0.0;
  for (std::int64_t t = 0; t < count(); ++t) {
    const double dlog = static_cast<double>(crossing_[t]) + static_cast<double>(pairs_[t]) + to_state;
    const double ddt = (static_cast<double>(x_dot_u_[t]) + a * dlog) * static_cast<double>(steps_.slope[t]);
    to_state += static_cast<double>(to_state_[t]);
    sums.da_log += dlog * static_cast<double>(steps_.delta[t]) * a;
    sums.ddt_bias += ddt;
    if (args_.ddt_th) *write_rows(args_.ddt_th, chunk(), head_).row(t) = static_cast<float>(ddt);
  }
}

// The pairs' share of dc and db goes through the summed gradient of the scores, once for all heads.
void ScanChunkGradient::finish_group() {
  const SimdTable& simd = context_.simd;
  const std::int64_t columns = shape_.tile_columns;
  const std::int64_t tile = count() * shape_.tile_rows;
  float* right = products_;  // free again: no head is left
  for (std::int64_t j = 0; j < count(); j += columns) {
    const std::int64_t depth = count() - j;
    const auto lanes = static_cast<int>(std::min(columns, depth));
    const float* b = span_.b_of(shape_, place_.slot, place_.group);
    const float* c = span_.c_of(shape_, place_.slot, place_.group);
    simd.pack_copied(dscores_ + j, shape_.chunk_columns, lanes, simd.gemm_columns, depth, right);
    for (std::int64_t n = 0; n < shape_.state_rows; n += shape_.tile_rows, b += tile) {
      simd.gemm_tile_a_columns(depth, b, shape_.tile_rows, right, dc_columns_ + j * shape_.state_rows + n * columns,
                               columns, true);
    }
    simd.pack_transposed(dscores_ + j * shape_.chunk_columns, shape_.chunk_columns, lanes, simd.gemm_columns, depth,
                         right);
    for (std::int64_t n = 0; n < shape_.state_rows; n += shape_.tile_rows, c += tile) {
      simd.gemm_tile_a_columns(depth, c, shape_.tile_rows, right, db_columns_ + j * shape_.state_rows + n * columns,
                               columns, true);
    }
  }
  write_columns(dc_columns_, args_.dc_tgn, true);
  write_columns(db_columns_, args_.db_tgn, false);
}

// Panels (N, tokens) to rows of the tensor.
void ScanChunkGradient::write_columns(const float* panels, const View& to, bool reversed) {
  if (!to) return;
  const std::int64_t columns = shape_.tile_columns;
  const WriteRows rows = write_rows(to, chunk(), place_.group);
  for (std::int64_t i = 0; i < count(); ++i) {
    const float* from = panels + i / columns * columns * shape_.state_rows + i % columns;
    float* row = rows.row(reversed ? count() - 1 - i : i);
    for (std::int64_t n = 0; n < shape_.states; ++n) row[n] = from[n * columns];
  }
}

}  // namespace strandline::cpu
