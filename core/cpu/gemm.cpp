#include "core/cpu/gemm.hpp"

#include <algorithm>

#include "core/base/checked.hpp"
#include "core/cpu/simd/simd.hpp"

namespace strandline::cpu {
namespace {

// The loops, outermost first: columns of C in blocks, k in blocks of kGemmDepth, rows of C in tiles of MR, columns in
// panels of NR. A block of B (kGemmDepth x kBlockColumns floats, 640 kB) is packed once and stays in the second-level
// cache; MR rows of A (8 kB) stay in the first-level cache while the panels of B stream past.
constexpr std::int64_t kBlockColumns = 640;
constexpr int kMaxTile = 1024;  // MR * NR of any instruction set

/// A block of B, packed: panels of NR columns, each depth x NR.
struct PackedBlock {
  const float* panels;
  std::int64_t n0;
  std::int64_t columns;
  std::int64_t k0;
  std::int64_t depth;
};

std::int64_t block_columns(std::int64_t n, const SimdTable& simd) {
  const std::int64_t blocks = ceil_div(n, kBlockColumns);
  return round_up(ceil_div(n, blocks), simd.gemm_columns);
}

// Copies lanes x depth of a matrix with strides (lane, k) to to[k * width + i], zeros from `lanes` to `width`.
void pack(const SimdTable& simd, const float* from, std::int64_t lane_stride, std::int64_t k_stride, int lanes,
          int width, std::int64_t depth, float* to) {
  if (k_stride == 1) return simd.pack_transposed(from, lane_stride, lanes, width, depth, to);
  if (lane_stride == 1) return simd.pack_copied(from, k_stride, lanes, width, depth, to);
  for (std::int64_t k = 0; k < depth; ++k) {
    for (int lane = 0; lane < width; ++lane) {
      to[k * width + lane] = lane < lanes ? from[lane * lane_stride + k * k_stride] : 0.0F;
    }
  }
}

void pack_panel(const SimdTable& simd, const GemmArgs& args, const PackedBlock& block, std::int64_t panel, float* to) {
  const std::int64_t column = panel * simd.gemm_columns;
  const int lanes = static_cast<int>(std::min<std::int64_t>(simd.gemm_columns, block.columns - column));
  const float* from = args.b.data + (block.n0 + column) * args.b.column + block.k0 * args.b.row;
  pack(simd, from, args.b.column, args.b.row, lanes, simd.gemm_columns, block.depth, to);
}

// C += the MR x NR tile, as far as it lies inside C: the same addition per element as in the kernel.
void add_part(const float* tile, int tile_columns, int rows, int columns, float* c, std::int64_t c_row,
              bool accumulate) {
  for (int m = 0; m < rows; ++m) {
    for (int n = 0; n < columns; ++n) {
      const float sum = tile[m * tile_columns + n];
      c[m * c_row + n] = accumulate ? c[m * c_row + n] + sum : sum;
    }
  }
}

/// MR rows of A at one depth, in the form that the kernel reads.
struct RowTile {
  const float* a;
  std::int64_t stride;
  bool dense_rows;  ///< dense in k; else dense in m
  int rows;         ///< that exist
};

// Rows dense in k are read in place: they are MR streams of whole cache lines. Anything else is packed, unless it is
// dense in m, whole, and used too seldom to pay for it.
RowTile row_tile(const SimdTable& simd, const GemmArgs& args, const PackedBlock& block, std::int64_t m0,
                 float* packed) {
  constexpr std::int64_t kFewColumns = 128;
  const int rows = static_cast<int>(std::min<std::int64_t>(simd.gemm_rows, args.m - m0));
  const float* from = args.a.data + m0 * args.a.row + block.k0 * args.a.column;
  if (args.a.column == 1) return {from, args.a.row, true, rows};
  if (args.a.row == 1 && rows == simd.gemm_rows && block.columns <= kFewColumns)
    return {from, args.a.column, false, rows};
  pack(simd, from, args.a.row, args.a.column, rows, simd.gemm_rows, block.depth, packed);
  return {packed, simd.gemm_rows, false, rows};
}

// Rows [m0, m_end) and panels [panel, panel_end) of one block.
struct Part {
  std::int64_t m0;
  std::int64_t m_end;
  std::int64_t panel;
  std::int64_t panel_end;
};

void multiply(const SimdTable& simd, const GemmArgs& args, const PackedBlock& block, const Part& part,
              float* packed_a) {
  const int tile_columns = simd.gemm_columns;
  const bool accumulate = args.accumulate || block.k0 > 0;
  alignas(64) float edge[kMaxTile];
  const auto run = [&](const RowTile& tile, const float* b, float* c, std::int64_t c_row, bool add) {
    if (tile.dense_rows) {
      simd.gemm_tile_a_rows(block.depth, tile.a, tile.stride, tile.rows, b, c, c_row, add);
    } else {
      simd.gemm_tile_a_columns(block.depth, tile.a, tile.stride, b, c, c_row, add);
    }
  };
  for (std::int64_t m = part.m0; m < part.m_end; m += simd.gemm_rows) {
    const RowTile tile = row_tile(simd, args, block, m, packed_a);
    for (std::int64_t panel = part.panel; panel < part.panel_end; ++panel) {
      const float* b = block.panels + panel * tile_columns * block.depth;
      const int columns = static_cast<int>(std::min<std::int64_t>(tile_columns, block.columns - panel * tile_columns));
      float* c = args.c + m * args.c_row + block.n0 + panel * tile_columns;
      if (tile.rows == simd.gemm_rows && columns == tile_columns) {
        run(tile, b, c, args.c_row, accumulate);
      } else {
        run(tile, b, edge, tile_columns, false);
        add_part(edge, tile_columns, tile.rows, columns, c, args.c_row, accumulate);
      }
    }
  }
}

// Nothing to sum: C is zeros, or stays.
void clear(const GemmArgs& args) {
  if (args.accumulate) return;
  for (std::int64_t m = 0; m < args.m; ++m) std::fill_n(args.c + m * args.c_row, args.n, 0.0F);
}

float* take(Workspace& scratch, std::int64_t floats) { return scratch.take(DType::f32, {floats}).as<float>(); }

template <class Body>
void for_each_block(const SimdTable& simd, const GemmArgs& args, float* panels, Body&& body) {
  const std::int64_t columns = block_columns(args.n, simd);
  for (std::int64_t n0 = 0; n0 < args.n; n0 += columns) {
    for (std::int64_t k0 = 0; k0 < args.k; k0 += kGemmDepth) {
      body(PackedBlock{.panels = panels,
                       .n0 = n0,
                       .columns = std::min(columns, args.n - n0),
                       .k0 = k0,
                       .depth = std::min(kGemmDepth, args.k - k0)});
    }
  }
}

std::int64_t packed_floats(const SimdTable& simd, const GemmArgs& args) {
  return block_columns(args.n, simd) * std::min(kGemmDepth, args.k);
}

// Even parts, so that the last thread does not wait for one that took a part too many: about four per thread, split
// over columns as well when there are too few rows.
struct Split {
  std::int64_t rows;
  std::int64_t panels;
};

Split split_of(const SimdTable& simd, const GemmArgs& args, std::int64_t panels, int threads) {
  const std::int64_t wanted = 4 * static_cast<std::int64_t>(threads);
  const std::int64_t tiles = ceil_div(args.m, simd.gemm_rows);
  const std::int64_t rows = ceil_div(tiles, std::min(wanted, tiles)) * simd.gemm_rows;
  const std::int64_t row_parts = ceil_div(args.m, rows);
  const std::int64_t column_parts = std::min(panels, ceil_div(wanted, row_parts));
  return {rows, row_parts >= threads ? panels : ceil_div(panels, column_parts)};
}

}  // namespace

void gemm(CpuIsa isa, const GemmArgs& args, Workspace& scratch) {
  if (args.m == 0 || args.n == 0) return;
  if (args.k == 0) return clear(args);
  const SimdTable& simd = simd_table(isa);
  const Workspace::Scope scope(scratch);
  float* panels = take(scratch, packed_floats(simd, args));
  float* packed_a = take(scratch, simd.gemm_rows * kGemmDepth);
  for_each_block(simd, args, panels, [&](const PackedBlock& block) {
    const std::int64_t panel_count = ceil_div(block.columns, simd.gemm_columns);
    for (std::int64_t panel = 0; panel < panel_count; ++panel) {
      pack_panel(simd, args, block, panel, panels + panel * simd.gemm_columns * block.depth);
    }
    multiply(simd, args, block, {0, args.m, 0, panel_count}, packed_a);
  });
}

void gemm_parallel(CpuIsa isa, const GemmArgs& args, ThreadTeam& team, Workspace* scratch_per_worker) {
  constexpr std::int64_t kSmall = 1 << 18;  // multiply-adds: some microseconds, the price of waking the team
  if (team.threads() == 1 || args.m * args.n < kSmall / std::max<std::int64_t>(args.k, 1)) {
    return gemm(isa, args, scratch_per_worker[0]);
  }
  if (args.k == 0) return clear(args);
  const SimdTable& simd = simd_table(isa);
  const Workspace::Scope scope(scratch_per_worker[0]);
  float* panels = take(scratch_per_worker[0], packed_floats(simd, args));
  for_each_block(simd, args, panels, [&](const PackedBlock& block) {
    const std::int64_t panel_count = ceil_div(block.columns, simd.gemm_columns);
    team.parallel_for(panel_count, [&](std::int64_t panel, int) {
      pack_panel(simd, args, block, panel, panels + panel * simd.gemm_columns * block.depth);
    });
    const Split split = split_of(simd, args, panel_count, team.threads());
    const std::int64_t column_parts = ceil_div(panel_count, split.panels);
    team.parallel_for(ceil_div(args.m, split.rows) * column_parts, [&](std::int64_t part, int worker) {
      const Workspace::Scope own(scratch_per_worker[worker]);
      float* packed_a = take(scratch_per_worker[worker], simd.gemm_rows * kGemmDepth);
      const std::int64_t m0 = part / column_parts * split.rows;
      const std::int64_t panel = part % column_parts * split.panels;
      multiply(simd, args, block,
               {m0, std::min(args.m, m0 + split.rows), panel, std::min(panel_count, panel + split.panels)}, packed_a);
    });
  });
}

}  // namespace strandline::cpu
