// What the forward and the backward scan share: sizes, the walk over a pack in blocks of chunks, and the step sizes and
// decays of one head in one chunk.
#pragma once

#include <cstdint>
#include <span>

#include "core/cpu/cpu_context.hpp"
#include "core/ops/ssd_scan.hpp"

namespace strandline::cpu {

/// Sizes of one call. A head's state is kept transposed and in panels: [panel of P][N][columns of P], so that a row is
/// what the vector kernels of the matrix product read. Rows and columns that do not exist hold zeros.
struct ScanShape {
  ScanShape(const ops::SsdScanArgs& args, const SimdTable& simd);

  std::int64_t heads;
  std::int64_t groups;
  std::int64_t heads_per_group;
  std::int64_t width;
  std::int64_t states;
  std::int64_t chunk;      ///< never more than the longest sequence: scratch is chunk^2
  std::int64_t tile_rows;  ///< of the matrix product's tile
  std::int64_t tile_columns;
  std::int64_t state_rows;     ///< states, rounded up to tiles
  std::int64_t chunk_rows;     ///< chunk, rounded up to tile_rows
  std::int64_t chunk_columns;  ///< chunk, rounded up to tile_columns
  std::int64_t panels;         ///< of tile_columns columns each; together they hold width

  std::int64_t panel_cells() const { return state_rows * tile_columns; }
  std::int64_t state_cells() const { return panels * panel_cells(); }
  std::int64_t group_of(std::int64_t head) const { return head / heads_per_group; }
  /// Columns of the panel that exist.
  std::int64_t panel_width(std::int64_t panel) const;
};

/// Tokens of one chunk, in scan order.
struct ScanChunk {
  std::int64_t first_token;
  std::int64_t direction;  ///< +1, or -1 when reversed
  std::int64_t count;
};

/// Neighbouring chunks of one sequence. Chunk i of the run has slot `slot + i` in its block.
struct ScanRun {
  std::int64_t sequence;
  std::int64_t slot;
  std::int64_t chunks;
  bool starts;  ///< holds the sequence's first chunk
  bool ends;    ///< holds its last
};

/// Where the walk over the pack stands.
struct ScanCursor {
  std::int64_t sequence = 0;
  std::int64_t chunk = 0;
};

/// Up to `capacity` neighbouring chunks of the pack, as runs. Empty sequences have no chunks.
struct ScanBlock {
  std::int64_t capacity;
  ScanRun* runs;
  ScanChunk* chunks;
  std::int64_t run_count = 0;
  std::int64_t chunk_count = 0;
};

ScanBlock take_block(Workspace& scratch, std::int64_t capacity);

/// Fills the block from the cursor on and moves the cursor behind it. @returns false when there is nothing left.
bool next_block(const ops::SsdScanArgs& args, const ScanShape& shape, ScanCursor& cursor, ScanBlock& block);

/// Chunks of the whole pack.
std::int64_t count_chunks(const ops::SsdScanArgs& args, const ScanShape& shape);

/// Rows of a tensor at the tokens of a chunk: row i is at first + i * step.
struct ReadRows {
  const float* first;
  std::int64_t step;
  const float* row(std::int64_t i) const { return first + i * step; }
};
struct WriteRows {
  float* first;
  std::int64_t step;
  float* row(std::int64_t i) const { return first + i * step; }
};

/// `item` is the head of x, the group of b. dt is a tensor whose rows have one element.
ReadRows read_rows(const ConstView& tensor, const ScanChunk& chunk, std::int64_t item);
WriteRows write_rows(const View& tensor, const ScanChunk& chunk, std::int64_t item);

/// Step sizes and decays of one head in one chunk; A_q = sum of delta * a over places 0 .. q. All arrays have
/// chunk_columns elements, of which those past the chunk are finite and without meaning.
///
/// The sums run in double and are kept as a pair high + low of floats: A_q - A_s then has an error relative to itself,
/// not to A_q, which matters where the decay is strong and A large. Measured in docs/kernels/ssd_scan.md.
struct HeadSteps {
  float* delta;
  float* slope;  ///< d delta / d dt
  float* high;
  float* low;
  float* from_start;  ///< exp(A_q)
  float* to_end;      ///< exp(A_last - A_s)
  float total;        ///< exp(A_last)
  float a;            ///< -exp(a_log)
};

HeadSteps take_steps(Workspace& scratch, const ScanShape& shape);

/// Fills `steps`; `slope` only when the array is there.
void compute_steps(const SimdTable& simd, const ops::SsdScanArgs& args, const ScanChunk& chunk, std::int64_t head,
                   HeadSteps& steps);

/// The (P, N) matrix of one head of one sequence in a tensor (S, H, P, N), by rows.
ReadRows read_state(const ConstView& state_shpn, std::int64_t sequence, std::int64_t head);
WriteRows write_state(const View& state_shpn, std::int64_t sequence, std::int64_t head);

/// One panel of a head's state from (P, N) as the contract has it, and back.
void load_panel(const ScanShape& shape, const ReadRows& state_pn, std::int64_t panel, float* cells);
void store_panel(const ScanShape& shape, const float* cells, std::int64_t panel, const WriteRows& state_pn);

/// Sequences without tokens hand their state on: `to` receives `from`, or zeros when that is absent.
void pass_empty_sequences(const ops::SsdScanArgs& args, const ConstView& from_shpn, const View& to_shpn);

template <class T>
T* take_array(Workspace& scratch, std::int64_t count) {
  return static_cast<T*>(scratch.take(DType::u8, {count * static_cast<std::int64_t>(sizeof(T))}).data());
}

}  // namespace strandline::cpu
