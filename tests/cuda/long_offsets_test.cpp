// Rows beyond 2^31 and 2^32 elements: one launch over all of them gives the bits of launches over a few.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/cuda/long_tensor.hpp"

namespace strandline::test {
namespace {

constexpr std::int64_t kColumns = 1024;
constexpr std::int64_t kTaps = 4;

template <class AnyView>
AnyView cut(const AnyView& whole, const TokenRange& rows) {
  return whole.slice(0, rows.begin, rows.end);
}

class LongRows : public LongOffsets {
 protected:
  /// Calls op on the given rows of the inputs and on as many rows of `to`.
  using Op = std::function<void(const TokenRange&, const View& to)>;

  void expect_same_rows(const std::string& what, const Op& op) {
    const Buffer whole = empty(kLongRows, kColumns);
    op({0, kLongRows}, whole.view());
    for (const TokenRange& window : windows(kColumns, backend().dtype())) {
      const Buffer part = empty(window.size(), kColumns);
      op(window, part.view());
      expect_rows(part.view(), whole.view(), window, what);
    }
  }
};

TEST_P(LongRows, OfLinearMapsAreThoseOfAFewRows) {
  if (!has_room(2 * kLongRows * kColumns)) return;
  const Buffer x = filled(kColumns, 1);
  const Buffer w = weight({kColumns, kColumns}, 2, 0.03);
  const Buffer bias = weight({kColumns}, 3);
  expect_same_rows("linear", [&](const TokenRange& rows, const View& to) {
    ops::linear(backend(), {.x_ti = cut(x.view(), rows), .weight_oi = w.view(), .bias_o = bias.view(), .y_to = to});
  });
  expect_same_rows("linear_backward", [&](const TokenRange& rows, const View& to) {
    ops::linear_backward(backend(), {.x_ti = {}, .weight_oi = w.view(), .dy_to = cut(x.view(), rows), .dx_ti = to});
  });
}

TEST_P(LongRows, OfNormsAreThoseOfAFewRows) {
  if (!has_room(4 * kLongRows * kColumns)) return;
  const Buffer x = filled(kColumns, 1);
  const Buffer z = filled(kColumns, 2);
  const Buffer w = weight({kColumns}, 3);
  expect_same_rows("rms_norm", [&](const TokenRange& rows, const View& to) {
    ops::rms_norm(backend(), {.x_td = cut(x.view(), rows), .weight_d = w.view(), .y_td = to});
  });
  expect_same_rows("rms_norm_backward", [&](const TokenRange& rows, const View& to) {
    ops::rms_norm_backward(
        backend(), {.x_td = cut(x.view(), rows), .weight_d = w.view(), .dy_td = cut(z.view(), rows), .dx_td = to});
  });
  expect_same_rows("layer_norm", [&](const TokenRange& rows, const View& to) {
    ops::layer_norm(backend(), {.x_td = cut(x.view(), rows), .weight_d = w.view(), .bias_d = w.view(), .y_td = to});
  });
  expect_same_rows("gated_rms_norm", [&](const TokenRange& rows, const View& to) {
    ops::gated_rms_norm(
        backend(),
        {.x_td = cut(x.view(), rows), .z_td = cut(z.view(), rows), .weight_d = w.view(), .groups = 2, .y_td = to});
  });
  const Buffer dz = empty(kLongRows, kColumns);
  expect_same_rows("gated_rms_norm_backward", [&](const TokenRange& rows, const View& to) {
    ops::gated_rms_norm_backward(backend(), {.x_td = cut(x.view(), rows),
                                             .z_td = cut(z.view(), rows),
                                             .weight_d = w.view(),
                                             .dy_td = cut(z.view(), rows),
                                             .dx_td = to,
                                             .dz_td = cut(dz.view(), rows)});
  });
}

TEST_P(LongRows, OfSumsProductsAndMasksAreThoseOfAFewRows) {
  if (!has_room(3 * kLongRows * kColumns)) return;
  const Buffer x = filled(kColumns, 1);
  const auto in_place = [&](void (*op)(Backend&, ConstView, View)) {
    return [this, &x, op](const TokenRange& rows, const View& to) {
      const View same = cut(x.view(), rows);
      backend().memory().copy(to.data(), same.data(),
                              static_cast<std::size_t>(same.elements()) * size_of(same.dtype()));
      op(backend(), same, to);
    };
  };
  expect_same_rows("add", in_place(ops::add));
  expect_same_rows("multiply", in_place(ops::multiply));
  expect_same_rows("reverse_channels", [&](const TokenRange& rows, const View& to) {
    ops::reverse_channels(backend(), cut(x.view(), rows), to);
  });
  expect_same_rows("dropout", [&](const TokenRange& rows, const View& to) {
    ops::dropout(backend(),
                 {.x_td = cut(x.view(), rows), .p = 0.3, .seed = 1, .stream = 2, .first_row = rows.begin, .y_td = to});
  });
  expect_same_rows("activation", [&](const TokenRange& rows, const View& to) {
    ops::activation(backend(), {.x_td = cut(x.view(), rows), .kind = ops::ActivationKind::gelu, .y_td = to});
  });
  expect_same_rows("softmax", [&](const TokenRange& rows, const View& to) {
    ops::softmax(backend(), {.x_tc = cut(x.view(), rows), .y_tc = to});
  });
}

TEST_P(LongRows, OfAnEmbeddingAreThoseOfAFewRows) {
  if (!has_room(2 * kLongRows * kColumns)) return;
  constexpr std::int64_t kLetters = 16;
  const Buffer table = weight({kLetters, kColumns}, 3);
  Buffer ids(backend().memory(), DType::i32, {kLongRows});
  std::vector<std::int32_t> host(static_cast<std::size_t>(kLongRows));
  for (std::size_t t = 0; t < host.size(); ++t) host[t] = static_cast<std::int32_t>(t * 7 % 4099 % kLetters);
  ids.upload(host.data());
  expect_same_rows("embedding", [&](const TokenRange& rows, const View& to) {
    ops::embedding(backend(), {.ids_t = cut(ids.view(), rows), .table_vd = table.view(), .y_td = to});
  });

  // Ones: every row of the gradient is the number of its letters, exact in fp32 in any order.
  const Buffer dy = empty(kLongRows, kColumns);
  Buffer one(backend().memory(), DType::f32, {1, kColumns});
  one.upload(std::vector<float>(static_cast<std::size_t>(kColumns), 1.0F).data());
  Buffer zero_ids(backend().memory(), DType::i32, {kLongRows});
  zero_ids.zero();
  ops::embedding(backend(), {.ids_t = zero_ids.view(), .table_vd = one.view(), .y_td = dy.view()});
  Buffer dtable(backend().memory(), DType::f32, {kLetters, kColumns});
  dtable.zero();
  ops::embedding_backward(backend(), {.ids_t = ids.view(), .dy_td = dy.view(), .dtable_vd = dtable.view()});
  backend().synchronize();
  std::vector<float> counted(static_cast<std::size_t>(kLetters * kColumns));
  dtable.download(counted.data());
  for (std::size_t letter = 0; letter < kLetters; ++letter) {
    const auto count = static_cast<float>(std::count(host.begin(), host.end(), static_cast<std::int32_t>(letter)));
    for (const std::size_t column : {std::size_t{0}, static_cast<std::size_t>(kColumns - 1)}) {
      EXPECT_EQ(counted[letter * kColumns + column], count) << "letter " << letter;
    }
  }
}

/// Sum and largest number of rows [begin, end) of a column of a tensor of this seed.
struct Column {
  double sum = 0.0;
  double largest = -1e9;

  Column(std::uint64_t seed, std::int64_t column, const TokenRange& rows) {
    const auto take = [&](std::int64_t begin, std::int64_t end) {
      double part = 0.0;
      for (std::int64_t row = begin; row < end; ++row) {
        const double value = long_value(seed, row % kPeriod, column);
        part += value;
        largest = std::max(largest, value);
      }
      return part;
    };
    const std::int64_t periods = rows.size() / kPeriod;
    if (periods > 0) sum = static_cast<double>(periods) * take(0, kPeriod);
    sum += take(rows.begin, rows.end - periods * kPeriod);
  }
};

TEST_P(LongRows, PoolToWhatTheirNumbersSay) {
  if (!has_room(kLongRows * kColumns)) return;
  const Buffer x = filled(kColumns, 1);
  for (const LongPack& pack : long_packs()) {
    SCOPED_TRACE(pack.name);
    const auto sequences = static_cast<std::int64_t>(pack.seq_begin.size()) - 1;
    for (const ops::PoolKind kind : {ops::PoolKind::mean, ops::PoolKind::last, ops::PoolKind::max}) {
      const Buffer y = empty(sequences, kColumns, DType::f32);
      ops::pool(backend(), {.x_td = x.view(), .seq_begin = pack.seq_begin, .kind = kind, .y_sd = y.view()});
      backend().synchronize();
      std::vector<float> got(static_cast<std::size_t>(sequences * kColumns));
      y.download(got.data());
      for (std::int64_t s = 0; s < sequences; ++s) {
        const TokenRange rows{pack.seq_begin[static_cast<std::size_t>(s)],
                              pack.seq_begin[static_cast<std::size_t>(s) + 1]};
        for (const std::int64_t column : {std::int64_t{0}, std::int64_t{517}, kColumns - 1}) {
          const Column numbers(1, column, rows);
          double want = rows.size() == 0 ? 0.0 : numbers.largest;
          if (kind == ops::PoolKind::mean && rows.size() > 0) want = numbers.sum / static_cast<double>(rows.size());
          if (kind == ops::PoolKind::last && rows.size() > 0) want = long_value(1, (rows.end - 1) % kPeriod, column);
          // Sums of multiples of 1/64 are exact in double: what is left is the rounding of one quotient to float.
          EXPECT_NEAR(static_cast<double>(got[static_cast<std::size_t>(s * kColumns + column)]), want, 0x1p-24 * 4.0)
              << "sequence " << s << ", column " << column << ", kind " << static_cast<int>(kind);
        }
      }
    }
  }
}

/// The sequences of a pack that meet some rows, as a pack of their own.
struct LocalPack {
  std::vector<std::int64_t> seq_begin{0};
  bool begins_inside = false;  ///< the first row is not the first of its sequence
  bool ends_inside = false;

  LocalPack(const LongPack& pack, const TokenRange& rows) {
    for (std::size_t s = 1; s < pack.seq_begin.size(); ++s) {
      const std::int64_t begin = pack.seq_begin[s - 1];
      const std::int64_t end = pack.seq_begin[s];
      if (end <= rows.begin || begin >= rows.end) continue;
      begins_inside = begins_inside || begin < rows.begin;
      ends_inside = ends_inside || end > rows.end;
      seq_begin.push_back(std::min(end, rows.end) - rows.begin);
    }
  }
  std::int64_t sequences() const { return static_cast<std::int64_t>(seq_begin.size()) - 1; }
};

class LongConv : public LongRows {
 protected:
  /// The inputs in front of these rows in scan order, oldest first; zeros where they are of another sequence.
  Buffer carried(const LongPack& pack, const TokenRange& rows, bool reverse) {
    const LocalPack local(pack, rows);
    const std::int64_t sequences = local.sequences();
    std::vector<float> state(static_cast<std::size_t>(sequences * (kTaps - 1) * kColumns));
    const bool inside = reverse ? local.ends_inside : local.begins_inside;
    const std::int64_t s = reverse ? sequences - 1 : 0;
    for (std::int64_t k = 0; inside && k < kTaps - 1; ++k) {
      const std::int64_t row = reverse ? rows.end + kTaps - 2 - k : rows.begin - (kTaps - 1) + k;
      if (!same_sequence(pack, row, reverse ? rows.end - 1 : rows.begin)) continue;
      for (std::int64_t column = 0; column < kColumns; ++column) {
        state[static_cast<std::size_t>((s * (kTaps - 1) + k) * kColumns + column)] =
            static_cast<float>(long_value(1, row % kPeriod, column));
      }
    }
    Buffer buffer(backend().memory(), DType::f32, {sequences, kTaps - 1, kColumns});
    buffer.upload(state.data());
    return buffer;
  }

 private:
  static bool same_sequence(const LongPack& pack, std::int64_t a, std::int64_t b) {
    if (a < 0 || a >= kLongRows) return false;
    const auto of = [&](std::int64_t row) {
      return std::upper_bound(pack.seq_begin.begin(), pack.seq_begin.end(), row) - pack.seq_begin.begin();
    };
    return of(a) == of(b);
  }
};

TEST_P(LongConv, InOneLaunchEqualsPiecesWithCarriedState) {
  if (!has_room(2 * kLongRows * kColumns)) return;
  const Buffer x = filled(kColumns, 1);
  const Buffer w = weight({kColumns, kTaps}, 2);
  const Buffer bias = weight({kColumns}, 3);
  for (const LongPack& pack : long_packs()) {
    for (const bool reverse : {false, true}) {
      const Buffer whole = empty(kLongRows, kColumns);
      ops::Conv1dArgs args{.x_tc = x.view(),
                           .weight_ck = w.view(),
                           .bias_c = bias.view(),
                           .seq_begin = pack.seq_begin,
                           .reverse = reverse,
                           .y_tc = whole.view()};
      ops::conv1d(backend(), args);
      for (const TokenRange& window : windows(kColumns, backend().dtype())) {
        const LocalPack local(pack, window);
        const Buffer state = carried(pack, window, reverse);
        const Buffer part = empty(window.size(), kColumns);
        args.x_tc = cut(x.view(), window);
        args.seq_begin = local.seq_begin;
        args.initial_state_skc = state.view();
        args.y_tc = part.view();
        ops::conv1d(backend(), args);
        expect_rows(part.view(), whole.view(), window, "conv1d, " + pack.name + (reverse ? ", reverse" : ""));
      }
    }
  }
}

// dx needs the kTaps - 1 rows that come after in scan order: a piece is given them, and its own rows are compared.
TEST_P(LongConv, GradientInOneLaunchEqualsPieces) {
  if (!has_room(3 * kLongRows * kColumns)) return;
  const Buffer x = filled(kColumns, 1);
  const Buffer dy = filled(kColumns, 4);
  const Buffer w = weight({kColumns, kTaps}, 2);
  for (const LongPack& pack : long_packs()) {
    const Buffer whole = empty(kLongRows, kColumns);
    ops::Conv1dBackwardArgs args{.x_tc = x.view(),
                                 .weight_ck = w.view(),
                                 .seq_begin = pack.seq_begin,
                                 .dy_tc = dy.view(),
                                 .dx_tc = whole.view()};
    ops::conv1d_backward(backend(), args);
    for (const TokenRange& window : windows(kColumns, backend().dtype())) {
      const TokenRange more{window.begin, std::min(window.end + kTaps - 1, kLongRows)};
      const LocalPack local(pack, more);
      const Buffer state = carried(pack, more, false);
      const Buffer part = empty(more.size(), kColumns);
      args.x_tc = cut(x.view(), more);
      args.dy_tc = cut(dy.view(), more);
      args.seq_begin = local.seq_begin;
      args.initial_state_skc = state.view();
      args.dx_tc = part.view();
      ops::conv1d_backward(backend(), args);
      expect_rows(part.view(), whole.view(), window, "conv1d_backward, " + pack.name);
    }
  }
}

const auto kName = [](const auto& each) { return each.param.name; };
INSTANTIATE_TEST_SUITE_P(On, LongRows, ::testing::ValuesIn(strandline::testing::backend_cases()), kName);
INSTANTIATE_TEST_SUITE_P(On, LongConv, ::testing::ValuesIn(strandline::testing::backend_cases()), kName);

}  // namespace
}  // namespace strandline::test
