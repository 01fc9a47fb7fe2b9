// One call of the scan on the card, forward or backward: the pack as tiles, windows of tiles that have their states in
// scratch at one time, and the launches that both directions share.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "core/ops/ssd_scan.hpp"
#include "cuda/base/check.hpp"
#include "cuda/base/context.hpp"
#include "cuda/kernels/ssd_scan_states.cuh"
#include "cuda/plans/ssd_scan_plan.hpp"

namespace strandline::cuda {

inline SsdScanPlan plan_of(const Context& context, const ops::SsdScanArgs& args) {
  return plan_ssd_scan({.heads = args.x_thp.size(1),
                        .width = args.x_thp.size(2),
                        .groups = args.b_tgn.size(1),
                        .states = args.b_tgn.size(2),
                        .chunk = args.chunk,
                        .element_bytes = static_cast<std::int64_t>(size_of(args.x_thp.dtype()))},
                       {.shared_bytes = context.limits().shared_bytes});
}

/// A rank-3 (T, items, columns) or rank-2 (T, items) view as kernels take it.
template <class T>
ScanRows<const T> scan_rows(const ConstView& view) {
  if (!view) return {};
  const std::int64_t item_stride = view.rank() == 3 ? view.stride(1) : 1;
  constexpr std::int64_t kVector = 16 / static_cast<std::int64_t>(sizeof(T));
  const bool aligned = reinterpret_cast<std::uintptr_t>(view.data()) % 16 == 0 && view.stride(0) % kVector == 0 &&
                       item_stride % kVector == 0;
  return {device_data<T>(view), view.stride(0), item_stride, aligned};
}
template <class T>
ScanRows<T> scan_rows(const View& view) {
  const ScanRows<const T> rows = scan_rows<T>(static_cast<const ConstView&>(view));
  return {const_cast<T*>(rows.data), rows.token_stride, rows.item_stride, rows.vector};
}

/// A tensor of states (S, H, P, N): dense but for its first axis.
struct StateRows {
  float* data = nullptr;
  std::int64_t stride = 0;
};

inline StateRows state_rows(const ConstView& state_shpn, const char* name) {
  if (!state_shpn) return {};
  const std::int64_t rows = state_shpn.size(2) * state_shpn.size(3);
  if (state_shpn.size(0) > 0 && (state_shpn.stride(2) != state_shpn.size(3) || state_shpn.stride(1) != rows)) {
    throw ContractError("ssd_scan: " + std::string(name) + " " + to_string(state_shpn.shape()) +
                        " must be dense but for its first axis on a GPU");
  }
  return {const_cast<float*>(state_shpn.as<float>()), state_shpn.stride(0)};
}

/// Calls body(sizes) with sizes that the compiler knows where there are kernels for them, in bf16: heads of 64 and
/// states of 64 or 128.
template <class T, class Body>
void with_sizes(const ScanTileSizes& sizes, const Body& body) {
  if constexpr (sizeof(T) == 2) {
    if (sizes == FixedTileSizes<64, 128>{}) return body(FixedTileSizes<64, 128>{});
    if (sizes == FixedTileSizes<64, 64>{}) return body(FixedTileSizes<64, 64>{});
  }
  body(sizes);
}

struct ScanWindow {
  std::int64_t first_tile;
  std::int64_t tiles;
  std::int64_t first_sequence;
  std::int64_t sequences;  ///< that have tiles in it, and empty ones between them
};

/// What a walk over the tiles of a window starts from and ends in. Absent: zeros, not wanted.
struct ChainEnds {
  StateRows first{};
  const float* carry_in_hpn = nullptr;
  StateRows last{};
  float* carry_out_hpn = nullptr;
};

class ScanCall {
 public:
  struct Options {
    ScanTileSizes sizes;
    std::int64_t window_tiles;
    bool with_slopes = false;
  };

  /// Takes scratch: hold a Workspace::Scope. @throws ContractError when the tensors differ in type.
  ScanCall(Context& context, const ops::SsdScanArgs& args, const Options& options)
      : context_(context),
        args_(args),
        sizes_(options.sizes),
        grid_{.chunk = args.chunk, .tokens = options.sizes.tokens},
        tile_offsets_(tile_offsets(args.seq_begin, grid_)),
        window_tiles_(std::clamp<std::int64_t>(tile_offsets_.back(), 1, options.window_tiles)) {
    for (const ConstView& tensor : {args.dt_th, args.b_tgn, args.c_tgn}) {
      if (tensor.dtype() != args.x_thp.dtype()) throw ContractError("ssd_scan: x, dt, b and c must be of one type");
    }
    source_ = {context.offsets().on_device(args.seq_begin), context.offsets().on_device(tile_offsets_),
               static_cast<std::int64_t>(args.seq_begin.size()) - 1, grid_, args.reverse};
    const std::int64_t step_count = window_tiles_ * heads() * sizes_.tokens;
    tiles_ = static_cast<ScanTile*>(take(DType::u8, window_tiles_ * static_cast<std::int64_t>(sizeof(ScanTile))));
    steps_ = {take_floats(step_count),
              options.with_slopes ? take_floats(step_count) : nullptr,
              take_floats(step_count),
              take_floats(step_count),
              take_floats(window_tiles_ * heads()),
              static_cast<int>(heads()),
              sizes_.tokens};
  }

  std::int64_t heads() const { return args_.x_thp.size(1); }
  std::int64_t width() const { return args_.x_thp.size(2); }
  std::int64_t groups() const { return args_.b_tgn.size(1); }
  std::int64_t states() const { return args_.b_tgn.size(2); }
  std::int64_t state_elements() const { return heads() * width() * states(); }
  std::int64_t windows() const { return ceil_div(tile_offsets_.back(), window_tiles_); }
  const ScanTile* tiles() const { return tiles_; }
  const ScanSteps& steps() const { return steps_; }
  const ScanTileSizes& sizes() const { return sizes_; }
  cudaStream_t stream() const { return context_.stream(); }

  float* take_floats(std::int64_t count) { return static_cast<float*>(take(DType::f32, count)); }
  /// Room for the states of a window's tiles: [tile][H][P][N].
  float* take_states() { return take_floats(window_tiles_ * state_elements()); }
  std::int64_t window_tiles() const { return window_tiles_; }

  ScanWindow window(std::int64_t index) const {
    const std::int64_t first = index * window_tiles_;
    const std::int64_t count = std::min(window_tiles_, tile_offsets_.back() - first);
    const auto sequence_of = [this](std::int64_t tile) {
      return std::upper_bound(tile_offsets_.begin(), tile_offsets_.end(), tile) - tile_offsets_.begin() - 1;
    };
    const std::int64_t first_sequence = sequence_of(first);
    return {first, count, first_sequence, sequence_of(first + count - 1) - first_sequence + 1};
  }

  /// Tiles, step sizes and decays of a window.
  template <class T>
  void prepare(const ScanWindow& window) {
    constexpr int kThreads = 256;
    describe_tiles<<<checked_grid(ceil_div(window.tiles, kThreads), "describe_tiles"), kThreads, 0, stream()>>>(
        source_, window.first_tile, window.tiles, tiles_);
    check_launch("describe_tiles");
    const StepRule rule{args_.a_log_h.as<float>(), args_.dt_bias_h ? args_.dt_bias_h.as<float>() : nullptr,
                        args_.step.softplus, static_cast<float>(args_.step.min), static_cast<float>(args_.step.max)};
    tile_steps<T><<<checked_grid(window.tiles, "tile_steps"), kStepThreads, 0, stream()>>>(
        tiles_, scan_rows<T>(args_.dt_th), rule, steps_);
    check_launch("tile_steps");
  }

  /// Each tile's own share of the state: from x and B or, from behind, from dy and C.
  template <class T>
  void shares(const ScanWindow& window, const ConstView& x_thp, bool from_behind, float* state_whpn) {
    with_sizes<T>(sizes_, [&](auto sizes) {
      using Sizes = decltype(sizes);
      const TileStateArgs<T, Sizes> kernel{
          tiles_,        steps_,    scan_rows<T>(x_thp),        scan_rows<T>(from_behind ? args_.c_tgn : args_.b_tgn),
          parts(window), sizes,     checked_cast<int>(width()), checked_cast<int>(states()),
          from_behind,   state_whpn};
      const int shared_bytes = state_shared(sizes).total;
      allow_shared(tile_states<T, Sizes>, shared_bytes, "tile_states");
      tile_states<<<blocks(window, kernel.parts, "tile_states"), kStateThreads, static_cast<unsigned>(shared_bytes),
                    stream()>>>(kernel);
      check_launch("tile_states");
    });
  }

  /// Shares become the states that the tiles start from (in walking order), or only the ends are wanted.
  template <bool kBackward, bool kStore = true>
  void chain(const ScanWindow& window, const ChainEnds& ends, float* state_whpn) {
    ChainArgs kernel{source_,
                     window.first_tile,
                     window.tiles,
                     window.first_sequence,
                     steps_.total,
                     static_cast<int>(heads()),
                     checked_cast<int>(checked_product(width(), states())),
                     state_whpn,
                     ends.first.data,
                     ends.first.stride,
                     ends.carry_in_hpn,
                     ends.last.data,
                     ends.last.stride,
                     ends.carry_out_hpn};
    for_each_grid(window.sequences, [&](std::int64_t first, unsigned blocks) {
      kernel.first_sequence = window.first_sequence + first;
      chain_states<kBackward, kStore><<<blocks, kChainThreads, 0, stream()>>>(kernel);
      check_launch("chain_states");
    });
  }

  /// For the sequences without tokens.
  void pass_empty(const StateRows& from, const StateRows& to) {
    const auto& begin = args_.seq_begin;
    if (to.data == nullptr || std::adjacent_find(begin.begin(), begin.end()) == begin.end()) return;
    for_each_grid(static_cast<std::int64_t>(begin.size()) - 1, [&](std::int64_t first, unsigned blocks) {
      pass_empty_states<<<blocks, kChainThreads, 0, stream()>>>(
          {source_.seq_begin, first, state_elements(), from.data, from.stride, to.data, to.stride});
      check_launch("pass_empty_states");
    });
  }

  /// Heads per block: all of a group when there are enough tiles to fill the card.
  HeadParts parts(const ScanWindow& window) const {
    const std::int64_t heads_per_group = heads() / groups();
    const std::int64_t wanted = 4 * static_cast<std::int64_t>(context_.limits().multiprocessors);
    const std::int64_t count = std::clamp<std::int64_t>(ceil_div(wanted, window.tiles * groups()), 1, heads_per_group);
    return {static_cast<int>(groups()), static_cast<int>(heads_per_group), static_cast<int>(count)};
  }
  unsigned blocks(const ScanWindow& window, const HeadParts& parts, const char* kernel) const {
    return checked_grid(checked_product(window.tiles, parts.groups * static_cast<std::int64_t>(parts.parts)), kernel);
  }

 private:
  /// Calls body(first sequence, blocks) with a row of blocks per sequence, as many sequences as one launch takes.
  template <class Body>
  void for_each_grid(std::int64_t sequences, const Body& body) const {
    const std::int64_t row = ceil_div(state_elements(), kChainThreads);
    const std::int64_t most = std::max<std::int64_t>(1, std::numeric_limits<int>::max() / row);
    for (std::int64_t first = 0; first < sequences; first += most) {
      body(first, checked_grid(std::min(most, sequences - first) * row, "chain_states"));
    }
  }
  void* take(DType dtype, std::int64_t count) { return context_.scratch().take(dtype, {count}).data(); }
  Context& context_;
  const ops::SsdScanArgs& args_;
  ScanTileSizes sizes_;
  TileGrid grid_;
  std::vector<std::int64_t> tile_offsets_;
  std::int64_t window_tiles_;
  ScanTile* tiles_ = nullptr;
  ScanSteps steps_{};
  TileSource source_{};
};

}  // namespace strandline::cuda
