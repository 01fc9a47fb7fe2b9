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

// Tiles of A that are packed together, and how many k at a time: where A is dense in m, a step of k is a step of a
// whole row in memory, so one pass reads 64 dense floats from each of a few pages instead of 8 from each of many.
constexpr std::int64_t kTilesPacked = 8;
constexpr std::int64_t kPackSteps = 16;

std::int64_t packed_a_floats(const SimdTable& simd) { return kTilesPacked * simd.gemm_rows * kGemmDepth; }

/// How the kernel gets at rows of A.
enum class RowAccess { dense_in_k, dense_in_m, packed };

// Rows dense in k are read in place: MR streams of whole cache lines. Anything else is packed, unless it is dense in m
// and used too seldom to pay for it.
RowAccess access_of(const GemmArgs& args, std::int64_t columns) {
  constexpr std::int64_t kFewColumns = 128;
  if (args.a.column == 1) return RowAccess::dense_in_k;
  return args.a.row == 1 && columns <= kFewColumns ? RowAccess::dense_in_m : RowAccess::packed;
}

void pack_tiles(const SimdTable& simd, const GemmArgs& args, const PackedBlock& block, std::int64_t m0,
                std::int64_t m_end, float* to) {
  for (std::int64_t k = 0; k < block.depth; k += kPackSteps) {
    const std::int64_t steps = std::min(kPackSteps, block.depth - k);
    for (std::int64_t m = m0; m < m_end; m += simd.gemm_rows) {
      const float* from = args.a.data + m * args.a.row + (block.k0 + k) * args.a.column;
      const int rows = static_cast<int>(std::min<std::int64_t>(simd.gemm_rows, m_end - m));
      pack(simd, from, args.a.row, args.a.column, rows, simd.gemm_rows, steps,
           to + (m - m0) * block.depth + k * simd.gemm_rows);
    }
  }
}

// Rows [m0, m_end) and panels [panel, panel_end) of one block.
struct Part {
  std::int64_t m0;
  std::int64_t m_end;
  std::int64_t panel;
  std::int64_t panel_end;
};

// Asks for one share of the rows of A that are packed next: between rows the memory's own prefetching loses the thread,
// and the tiles of this group take long enough to hide the way from memory.
void prefetch_share(const SimdTable& simd, const GemmArgs& args, const PackedBlock& block, std::int64_t m,
                    std::int64_t share) {
  constexpr std::int64_t kLineFloats = 16;
  if (args.a.row != 1 || m >= args.m) return;
  const std::int64_t width = std::min(kTilesPacked * simd.gemm_rows, args.m - m);
  const std::int64_t k_end = std::min(block.depth, (share + 1) * kGemmDepth / kTilesPacked);
  for (std::int64_t k = share * kGemmDepth / kTilesPacked; k < k_end; ++k) {
    const float* row = args.a.data + m + (block.k0 + k) * args.a.column;
    for (std::int64_t line = 0; line < width; line += kLineFloats) __builtin_prefetch(row + line, 0, 2);
  }
}

/// MR rows of A at one depth.
struct RowTile {
  const float* a;
  std::int64_t stride;
  bool dense_in_k;
  int rows;  ///< that exist
};

void multiply_tile(const SimdTable& simd, const GemmArgs& args, const PackedBlock& block, const RowTile& tile,
                   std::int64_t m, std::int64_t panel) {
  const int tile_columns = simd.gemm_columns;
  const bool accumulate = args.accumulate || block.k0 > 0;
  const float* b = block.panels + panel * tile_columns * block.depth;
  const auto run = [&](float* c, std::int64_t c_row, bool add) {
    if (tile.dense_in_k) {
      simd.gemm_tile_a_rows(block.depth, tile.a, tile.stride, tile.rows, b, c, c_row, add);
    } else {
      simd.gemm_tile_a_columns(block.depth, tile.a, tile.stride, b, c, c_row, add);
    }
  };
  const int columns = static_cast<int>(std::min<std::int64_t>(tile_columns, block.columns - panel * tile_columns));
  float* c = args.c + m * args.c_row + block.n0 + panel * tile_columns;
  if (tile.rows == simd.gemm_rows && columns == tile_columns) return run(c, args.c_row, accumulate);
  alignas(64) float edge[kMaxTile];
  run(edge, tile_columns, false);
  add_part(edge, tile_columns, tile.rows, columns, c, args.c_row, accumulate);
}

void multiply(const SimdTable& simd, const GemmArgs& args, const PackedBlock& block, const Part& part,
              float* packed_a) {
  const RowAccess access = access_of(args, block.columns);
  const std::int64_t group = kTilesPacked * simd.gemm_rows;
  for (std::int64_t m0 = part.m0; m0 < part.m_end; m0 += group) {
    const std::int64_t m_end = std::min(part.m_end, m0 + group);
    if (access == RowAccess::packed) pack_tiles(simd, args, block, m0, m_end, packed_a);
    for (std::int64_t m = m0; m < m_end; m += simd.gemm_rows) {
      const int rows = static_cast<int>(std::min<std::int64_t>(simd.gemm_rows, m_end - m));
      const float* from = args.a.data + m * args.a.row + block.k0 * args.a.column;
      RowTile tile{packed_a + (m - m0) * block.depth, simd.gemm_rows, false, rows};
      if (access == RowAccess::dense_in_k) {
        tile = {from, args.a.row, true, rows};
      } else if (access == RowAccess::dense_in_m && rows == simd.gemm_rows) {
        tile = {from, args.a.column, false, rows};
      } else if (access == RowAccess::dense_in_m) {
        pack(simd, from, args.a.row, args.a.column, rows, simd.gemm_rows, block.depth, packed_a);
        tile.a = packed_a;
      }
      if (access == RowAccess::packed) prefetch_share(simd, args, block, m0 + group, (m - m0) / simd.gemm_rows);
      for (std::int64_t panel = part.panel; panel < part.panel_end; ++panel) {
        multiply_tile(simd, args, block, tile, m, panel);
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

/// Rows [m0, m0 + m) and columns [n0, n0 + n) of C.
GemmArgs part_of(const GemmArgs& args, std::int64_t m0, std::int64_t m, std::int64_t n0, std::int64_t n) {
  GemmArgs part = args;
  part.m = m;
  part.n = n;
  part.a.data += m0 * args.a.row;
  part.b.data += n0 * args.b.column;
  part.c += m0 * args.c_row + n0;
  return part;
}

void multiply_serial(const SimdTable& simd, const GemmArgs& args, Workspace& scratch) {
  const Workspace::Scope scope(scratch);
  float* panels = take(scratch, packed_floats(simd, args));
  float* packed_a = take(scratch, packed_a_floats(simd));
  for_each_block(simd, args, panels, [&](const PackedBlock& block) {
    const std::int64_t panel_count = ceil_div(block.columns, simd.gemm_columns);
    for (std::int64_t panel = 0; panel < panel_count; ++panel) {
      pack_panel(simd, args, block, panel, panels + panel * simd.gemm_columns * block.depth);
    }
    multiply(simd, args, block, {0, args.m, 0, panel_count}, packed_a);
  });
}

// With many blocks of k (gradients of weights: k counts tokens) C would go to memory and back once per block. Cut into
// parts of 256 x 256 that stay in the second-level cache, each summed over all k before the next; B is packed anew for
// each row of parts, which costs 1/256 of the products, and a team needs no meeting per block.
struct DeepParts {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t across;
  std::int64_t count;
};

bool is_deep(const GemmArgs& args) { return args.k >= 4 * kGemmDepth; }

DeepParts deep_parts(const SimdTable& simd, const GemmArgs& args, int threads) {
  constexpr std::int64_t kSide = 256;
  const std::int64_t down = std::max<std::int64_t>(ceil_div(args.m, kSide), threads > 1 ? 2 * threads : 1);
  const std::int64_t rows = round_up(ceil_div(args.m, down), simd.gemm_rows);
  const std::int64_t columns = round_up(ceil_div(args.n, ceil_div(args.n, kSide)), simd.gemm_columns);
  const std::int64_t across = ceil_div(args.n, columns);
  return {rows, columns, across, ceil_div(args.m, rows) * across};
}

void multiply_deep_part(const SimdTable& simd, const GemmArgs& args, const DeepParts& parts, std::int64_t part,
                        Workspace& scratch) {
  const std::int64_t m0 = part / parts.across * parts.rows;
  const std::int64_t n0 = part % parts.across * parts.columns;
  const std::int64_t m = std::min(parts.rows, args.m - m0);
  const std::int64_t n = std::min(parts.columns, args.n - n0);
  multiply_serial(simd, part_of(args, m0, m, n0, n), scratch);
}

}  // namespace

void gemm(CpuIsa isa, const GemmArgs& args, Workspace& scratch) {
  if (args.m == 0 || args.n == 0) return;
  if (args.k == 0) return clear(args);
  const SimdTable& simd = simd_table(isa);
  if (!is_deep(args)) return multiply_serial(simd, args, scratch);
  const DeepParts parts = deep_parts(simd, args, 1);
  for (std::int64_t part = 0; part < parts.count; ++part) multiply_deep_part(simd, args, parts, part, scratch);
}

void gemm_parallel(CpuIsa isa, const GemmArgs& args, ThreadTeam& team, Workspace* scratch_per_worker) {
  constexpr std::int64_t kSmall = 1 << 18;  // multiply-adds: some microseconds, the price of waking the team
  if (team.threads() == 1 || args.m * args.n < kSmall / std::max<std::int64_t>(args.k, 1)) {
    return gemm(isa, args, scratch_per_worker[0]);
  }
  if (args.k == 0) return clear(args);
  const SimdTable& simd = simd_table(isa);
  if (is_deep(args)) {
    const DeepParts parts = deep_parts(simd, args, team.threads());
    return team.parallel_for(parts.count, [&](std::int64_t part, int worker) {
      multiply_deep_part(simd, args, parts, part, scratch_per_worker[worker]);
    });
  }
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
      float* packed_a = take(scratch_per_worker[worker], packed_a_floats(simd));
      const std::int64_t m0 = part / column_parts * split.rows;
      const std::int64_t panel = part % column_parts * split.panels;
      multiply(simd, args, block,
               {m0, std::min(args.m, m0 + split.rows), panel, std::min(panel_count, panel + split.panels)}, packed_a);
    });
  });
}

}  // namespace strandline::cpu
