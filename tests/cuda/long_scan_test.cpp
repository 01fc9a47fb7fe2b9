// The scan over more than 2^32 elements: one launch gives the bits of pieces with carried state, cut at multiples of
// the chunk; so do its gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>

#include "tests/cuda/long_tensor.hpp"

namespace strandline::test {
namespace {

constexpr std::int64_t kHeads = 16;
constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kStates = 16;
constexpr std::int64_t kChunk = 64;
constexpr std::int64_t kInner = kHeads * kWidth;
constexpr std::int64_t kPieceRows = std::int64_t{1} << (kLongPower - 12);
static_assert(kScanColumns == kInner + 2 * kStates && kPieceRows % kChunk == 0);

/// x, b and c (or their gradients) side by side, as they come out of the convolution.
template <class AnyView>
struct Parts {
  AnyView x, b, c;

  explicit Parts(const AnyView& xbc)
      : x(xbc.slice(1, 0, kInner).split_last(kHeads)),
        b(xbc.slice(1, kInner, kInner + kStates).split_last(1)),
        c(xbc.slice(1, kInner + kStates, kScanColumns).split_last(1)) {}
};

class LongScan : public LongOffsets {
 protected:
  void make_inputs() {
    xbc_ = filled(kScanColumns, 1);
    dt_ = filled(kHeads, 2);
    a_log_ = weight({kHeads}, 3);
    d_ = weight({kHeads}, 4);
  }

  ops::SsdScanArgs scan_args(const TokenRange& rows, std::span<const std::int64_t> seq_begin, bool reverse) {
    const Parts<View> parts(xbc_.view().slice(0, rows.begin, rows.end));
    return {.x_thp = parts.x,
            .dt_th = dt_.view().slice(0, rows.begin, rows.end),
            .a_log_h = a_log_.view(),
            .b_tgn = parts.b,
            .c_tgn = parts.c,
            .d_h = d_.view(),
            .seq_begin = seq_begin,
            .reverse = reverse,
            .chunk = kChunk,
            .y_thp = {}};
  }

  Buffer state(std::int64_t sequences) {
    Buffer buffer(backend().memory(), DType::f32, {sequences, kHeads, kWidth, kStates});
    buffer.zero();
    return buffer;
  }

  /// The windows of a tensor of so many columns that lie in these rows, and the rows' own ends.
  static std::vector<TokenRange> windows_in(const TokenRange& rows, std::int64_t columns, DType dtype) {
    std::vector<TokenRange> inside{{rows.begin, std::min(rows.begin + kChunk, rows.end)},
                                   {std::max(rows.end - kChunk, rows.begin), rows.end}};
    for (const TokenRange& window : windows(columns, dtype)) {
      const TokenRange part{std::max(window.begin, rows.begin), std::min(window.end, rows.end)};
      if (part.begin < part.end) inside.push_back(part);
    }
    return inside;
  }

  /// Of `piece`, which are the rows `rows` of `whole`.
  void expect_windows(const View& piece, const View& whole, const TokenRange& rows, const std::string& what) {
    for (const TokenRange& part : windows_in(rows, whole.size(1), whole.dtype())) {
      expect_rows(piece.slice(0, part.begin - rows.begin, part.end - rows.begin), whole, part, what);
    }
  }

  /// The pieces of each sequence, in scan order.
  struct Piece {
    TokenRange rows;
    std::int64_t sequence;
    bool first;
    bool last;
  };
  static std::vector<Piece> pieces_of(const LongPack& pack, bool reverse) {
    std::vector<Piece> all;
    for (std::size_t s = 1; s < pack.seq_begin.size(); ++s) {
      const std::int64_t begin = pack.seq_begin[s - 1];
      const std::int64_t length = pack.seq_begin[s] - begin;
      const std::int64_t count = count_pieces(length, kPieceRows);
      for (std::int64_t i = 0; i < count; ++i) {
        const TokenRange rows = piece_at(i, length, kPieceRows, reverse);
        all.push_back(
            {{begin + rows.begin, begin + rows.end}, static_cast<std::int64_t>(s) - 1, i == 0, i + 1 == count});
      }
    }
    return all;
  }

  Buffer xbc_, dt_, a_log_, d_;
};

TEST_P(LongScan, InOneLaunchEqualsPiecesWithCarriedState) {
  if (!has_room(kLongRows * (kScanColumns + kInner + kHeads))) return;
  make_inputs();
  const Buffer whole = empty(kLongRows, kInner);
  const Buffer part = empty(kPieceRows, kInner);
  for (const LongPack& pack : long_packs()) {
    for (const bool reverse : {false, true}) {
      const std::string what = "ssd_scan, " + pack.name + (reverse ? ", reverse" : "");
      const Buffer final_state = state(static_cast<std::int64_t>(pack.seq_begin.size()) - 1);
      ops::SsdScanArgs args = scan_args({0, kLongRows}, pack.seq_begin, reverse);
      args.final_state_shpn = final_state.view();
      args.y_thp = whole.view().split_last(kHeads);
      ops::ssd_scan(backend(), args);

      std::array<Buffer, 2> states{state(1), state(1)};
      for (const Piece& piece : pieces_of(pack, reverse)) {
        const std::array<std::int64_t, 2> seq_begin{0, piece.rows.size()};
        const View y = part.view().slice(0, 0, piece.rows.size());
        args = scan_args(piece.rows, seq_begin, reverse);
        if (!piece.first) args.initial_state_shpn = states[0].view();
        args.final_state_shpn = states[1].view();
        args.y_thp = y.split_last(kHeads);
        ops::ssd_scan(backend(), args);
        expect_windows(y, whole.view(), piece.rows, what);
        if (piece.last) {
          expect_rows(states[1].view(), final_state.view(), {piece.sequence, piece.sequence + 1}, what + ", state");
        }
        std::swap(states[0], states[1]);
      }
    }
  }
}

TEST_P(LongScan, GradientInOneLaunchEqualsPiecesWithCarriedState) {
  if (!has_room(2 * kLongRows * (kScanColumns + kInner / 2 + kHeads))) return;
  make_inputs();
  const Buffer dy = filled(kInner, 5);
  const Buffer whole = empty(kLongRows, kScanColumns);
  const Buffer whole_ddt = empty(kLongRows, kHeads);
  const Buffer part = empty(kPieceRows, kScanColumns);
  const Buffer part_ddt = empty(kPieceRows, kHeads);
  const Buffer y = empty(kPieceRows, kInner);
  const auto backward = [&](const ops::SsdScanArgs& forward, const TokenRange& rows, const View& dxbc,
                            const View& ddt) {
    const Parts<View> parts(dxbc);
    return ops::SsdScanBackwardArgs{.forward = forward,
                                    .dy_thp = dy.view().slice(0, rows.begin, rows.end).split_last(kHeads),
                                    .dx_thp = parts.x,
                                    .ddt_th = ddt,
                                    .db_tgn = parts.b,
                                    .dc_tgn = parts.c};
  };
  for (const LongPack& pack : long_packs()) {
    const std::string what = "ssd_scan_backward, " + pack.name;
    const TokenRange all{0, kLongRows};
    ops::ssd_scan_backward(backend(),
                           backward(scan_args(all, pack.seq_begin, false), all, whole.view(), whole_ddt.view()));

    const std::vector<Piece> pieces = pieces_of(pack, false);
    std::deque<Buffer> before;  // the state in front of each piece
    for (const Piece& piece : pieces) {
      const std::array<std::int64_t, 2> seq_begin{0, piece.rows.size()};
      if (piece.first) before.push_back(state(1));
      if (piece.last) continue;
      before.push_back(state(1));
      ops::SsdScanArgs args = scan_args(piece.rows, seq_begin, false);
      args.initial_state_shpn = before[before.size() - 2].view();
      args.final_state_shpn = before.back().view();
      args.y_thp = y.view().slice(0, 0, piece.rows.size()).split_last(kHeads);
      ops::ssd_scan(backend(), args);
    }

    std::array<Buffer, 2> dstates{state(1), state(1)};
    for (std::size_t i = pieces.size(); i-- > 0;) {
      const Piece& piece = pieces[i];
      const std::array<std::int64_t, 2> seq_begin{0, piece.rows.size()};
      ops::SsdScanArgs forward = scan_args(piece.rows, seq_begin, false);
      if (!piece.first) forward.initial_state_shpn = before[i].view();
      const View dxbc = part.view().slice(0, 0, piece.rows.size());
      const View ddt = part_ddt.view().slice(0, 0, piece.rows.size());
      ops::SsdScanBackwardArgs args = backward(forward, piece.rows, dxbc, ddt);
      if (!piece.last) args.dfinal_state_shpn = dstates[0].view();
      args.dinitial_state_shpn = dstates[1].view();
      ops::ssd_scan_backward(backend(), args);
      expect_windows(dxbc, whole.view(), piece.rows, what);
      expect_windows(ddt, whole_ddt.view(), piece.rows, what + ", ddt");
      std::swap(dstates[0], dstates[1]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(On, LongScan, ::testing::ValuesIn(strandline::testing::backend_cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace strandline::test
