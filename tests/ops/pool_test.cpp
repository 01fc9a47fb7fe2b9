#include <gmock/gmock.h>

#include <cmath>

#include "core/tensor/host_copy.hpp"
#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using ops::PoolKind;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr PoolKind kKinds[] = {PoolKind::mean, PoolKind::last, PoolKind::max};

struct Pack {
  std::vector<std::int64_t> lengths;
  std::int64_t channels;

  std::int64_t tokens() const { return offsets_of(lengths).back(); }
  std::int64_t sequences() const { return static_cast<std::int64_t>(lengths.size()); }
};

// The last is of sequences longer than the pieces of 4,096 tokens that a GPU cuts them into.
const std::vector<Pack>& packs() {
  static const std::vector<Pack> all{
      {{}, 3}, {{0}, 3}, {{1}, 1}, {{0, 5, 0, 0, 1, 63, 64}, 65}, {{700, 3}, 130}, {{9000, 3, 4096, 0, 4097}, 12}};
  return all;
}

OpCall forward(const Pack& pack, PoolKind kind) {
  return [=](Stage& stage) {
    const auto offsets = offsets_of(pack.lengths);
    ops::pool(stage.backend(), {.x_td = stage.activation(normal({pack.tokens(), pack.channels}, 1)),
                                .seq_begin = offsets,
                                .kind = kind,
                                .y_sd = stage.activation_out("y", {pack.sequences(), pack.channels})});
  };
}

OpCall backward(const Pack& pack, PoolKind kind) {
  return [=](Stage& stage) {
    const auto offsets = offsets_of(pack.lengths);
    ops::pool_backward(stage.backend(), {.x_td = stage.activation(normal({pack.tokens(), pack.channels}, 1)),
                                         .seq_begin = offsets,
                                         .kind = kind,
                                         .dy_sd = stage.activation(normal({pack.sequences(), pack.channels}, 2)),
                                         .dx_td = stage.activation_out("dx", {pack.tokens(), pack.channels})});
  };
}

OpCall attention(const Pack& pack) {
  return [=](Stage& stage) {
    const auto offsets = offsets_of(pack.lengths);
    ops::attention_pool(stage.backend(), {.x_td = stage.activation(normal({pack.tokens(), pack.channels}, 1)),
                                          .score_t = stage.activation(normal({pack.tokens()}, 3, 50.0, 4.0)),
                                          .seq_begin = offsets,
                                          .y_sd = stage.activation_out("y", {pack.sequences(), pack.channels}),
                                          .weight_t = stage.activation_out("weight", {pack.tokens()})});
  };
}

OpCall attention_backward(const Pack& pack) {
  const HostTensor weight = named(results_of(reference(), attention(pack)), "weight");
  return [=](Stage& stage) {
    const auto offsets = offsets_of(pack.lengths);
    ops::attention_pool_backward(stage.backend(),
                                 {.x_td = stage.activation(normal({pack.tokens(), pack.channels}, 1)),
                                  .weight_t = stage.activation(weight),
                                  .seq_begin = offsets,
                                  .dy_sd = stage.activation(normal({pack.sequences(), pack.channels}, 2)),
                                  .dx_td = stage.activation_out("dx", {pack.tokens(), pack.channels}),
                                  .dscore_t = stage.activation_out("dscore", {pack.tokens()})});
  };
}

class Pool : public BackendSuite {
 protected:
  std::vector<double> pooled(const HostTensor& x, const std::vector<std::int64_t>& lengths, PoolKind kind) {
    const auto offsets = offsets_of(lengths);
    const Shape y{static_cast<std::int64_t>(lengths.size()), x.shape[1]};
    return named(results_of(backend(),
                            [&](Stage& stage) {
                              ops::pool(stage.backend(), {.x_td = stage.activation(x),
                                                          .seq_begin = offsets,
                                                          .kind = kind,
                                                          .y_sd = stage.activation_out("y", y)});
                            }),
                 "y")
        .values;
  }
};

TEST_P(Pool, TakesTheMeanTheLastAndTheLargestOfEachSequence) {
  const HostTensor x = tensor_of({3, 2}, {1, 8, 3, 2, 10, -1});

  EXPECT_THAT(pooled(x, {2, 0, 1}, PoolKind::mean), ElementsAre(2, 5, 0, 0, 10, -1));
  EXPECT_THAT(pooled(x, {2, 0, 1}, PoolKind::last), ElementsAre(3, 2, 0, 0, 10, -1));
  EXPECT_THAT(pooled(x, {2, 0, 1}, PoolKind::max), ElementsAre(3, 8, 0, 0, 10, -1));
}

TEST_P(Pool, SumsTheMeanInDouble) {
  // In single precision 2^24 + 1 + 1 + ... stays at 2^24.
  std::vector<double> values(1025, 1.0);
  values[0] = 16777216.0;

  EXPECT_NEAR(pooled(tensor_of({1025, 1}, values), {1025}, PoolKind::mean)[0], 16778240.0 / 1025.0,
              near(1e-3, 16369.0));
}

TEST_P(Pool, SendsTheGradientOfEqualMaximaToTheFirst) {
  const auto offsets = offsets_of({3});
  const Results got = results_of(backend(), [&](Stage& stage) {
    ops::pool_backward(stage.backend(), {.x_td = stage.activation(tensor_of({3, 1}, {4, 9, 9})),
                                         .seq_begin = offsets,
                                         .kind = PoolKind::max,
                                         .dy_sd = stage.activation(tensor_of({1, 1}, {5})),
                                         .dx_td = stage.activation_out("dx", {3, 1})});
  });

  EXPECT_THAT(named(got, "dx").values, ElementsAre(0, 5, 0));
}

TEST_P(Pool, WeighsTokensByTheSoftmaxOfTheirScores) {
  // Scores 0 and log 3: weights 1/4 and 3/4.
  const auto offsets = offsets_of({2});
  const Results got = results_of(backend(), [&](Stage& stage) {
    ops::attention_pool(stage.backend(), {.x_td = stage.activation(tensor_of({2, 2}, {4, 0, 8, 100})),
                                          .score_t = stage.activation(tensor_of({2}, {0, std::log(3.0)})),
                                          .seq_begin = offsets,
                                          .y_sd = stage.activation_out("y", {1, 2}),
                                          .weight_t = stage.activation_out("weight", {2})});
  });

  EXPECT_NEAR(named(got, "y").values[0], 7.0, near(1e-5, 7.0));
  EXPECT_NEAR(named(got, "y").values[1], 75.0, near(1e-4, 75.0));
  EXPECT_NEAR(named(got, "weight").values[0], 0.25, near(1e-6, 0.25));
}

TEST_P(Pool, AgreesWithTheReferenceOnRaggedPacks) {
  for (const Pack& pack : packs()) {
    SCOPED_TRACE(testing::Message() << pack.sequences() << " sequences, " << pack.tokens() << " tokens");
    for (const PoolKind kind : kKinds) {
      expect_agreement(backend(), forward(pack, kind));
      expect_agreement(backend(), backward(pack, kind));
    }
    expect_agreement(backend(), attention(pack));
    expect_agreement(backend(), attention_backward(pack));
  }
}

TEST_P(Pool, KeepsSequencesApart) {
  const HostTensor x = normal({90, 70}, 1);
  for (const PoolKind kind : kKinds) {
    const std::vector<double> together = pooled(x, {30, 41, 19}, kind);
    const std::vector<double> alone = pooled(x.rows(30, 71), {41}, kind);

    EXPECT_EQ(alone, std::vector<double>(together.begin() + 70, together.begin() + 140));
  }
}

/// The vector of the first `tokens` tokens of a sequence that comes in pieces, the sizes of which go in turn.
std::vector<double> pooled_in_pieces(Backend& backend, const HostTensor& x, PoolKind kind,
                                     const std::vector<std::int64_t>& pieces) {
  const std::int64_t channels = x.shape[1];
  const Buffer state(backend.memory(), DType::f64, {ops::kPoolStateRows, channels});
  const std::vector<double> garbage(static_cast<std::size_t>(ops::kPoolStateRows * channels), NAN);
  upload_values(backend.memory(), garbage, state.view());
  std::int64_t done = 0;
  Results results;
  for (std::size_t i = 0; done < x.shape[0] || i == 0; ++i) {
    const std::int64_t next = std::min(done + pieces[i % pieces.size()], x.shape[0]);
    Stage stage(backend, {.row_gap = static_cast<std::int64_t>(i % 2)});
    ops::pool_piece(backend, {.x_td = stage.activation(x.rows(done, next)),
                              .tokens_before = done,
                              .kind = kind,
                              .state_kd = state.view(),
                              .y_sd = i % 2 == 1 ? stage.activation_out("now", {1, channels}) : View{}});
    stage.finish();
    done = next;
  }
  Stage stage(backend);
  ops::pool_piece(backend, {.x_td = stage.activation(zeros({0, channels})),
                            .tokens_before = done,
                            .kind = kind,
                            .state_kd = state.view(),
                            .y_sd = stage.activation_out("y", {1, channels})});
  return named(stage.finish(), "y").values;
}

TEST_P(Pool, InPiecesCutAnywhereGivesTheBitsOfOneCall) {
  for (const std::int64_t tokens : {0, 1, 7, 8, 50, 4095, 4096, 4097, 9000, 12288}) {
    HostTensor x = normal({tokens, 37}, 1);
    for (std::int64_t t = 0; t < tokens; ++t) x.values[static_cast<std::size_t>(t * 37)] = t % 3 == 0 ? -0.0 : 0.0;
    for (const PoolKind kind : kKinds) {
      const std::vector<double> want = pooled(x, {tokens}, kind);
      for (const std::vector<std::int64_t>& pieces :
           {std::vector<std::int64_t>{20000}, {4096}, {1000}, {0, 3, 4093, 11, 2500}, {1, 5000}, {8192, 4}}) {
        if (pieces == std::vector<std::int64_t>{1000} && tokens > 9000) continue;
        const std::vector<double> got = pooled_in_pieces(backend(), x, kind, pieces);
        ASSERT_EQ(got, want) << tokens << " tokens, pieces from " << pieces[0] << ", kind " << static_cast<int>(kind);
        for (std::size_t d = 0; d < got.size(); ++d) ASSERT_EQ(std::signbit(got[d]), std::signbit(want[d]));
      }
    }
  }
}

TEST_P(Pool, KeepsANaNInAnyPiece) {
  HostTensor x = normal({10, 2}, 1);
  x.values[5] = NAN;  // token 2, channel 1
  for (const PoolKind kind : {PoolKind::mean, PoolKind::max}) {
    const std::vector<double> got = pooled_in_pieces(backend(), x, kind, {4});
    EXPECT_FALSE(std::isnan(got[0]));
    EXPECT_TRUE(std::isnan(got[1]));
  }
}

TEST_P(Pool, RefusesAStateOfAnotherShape) {
  Stage stage(backend());
  const ConstView x = stage.activation(normal({5, 2}, 1));
  const Buffer narrow(backend().memory(), DType::f64, {1, 2});
  const Buffer state(backend().memory(), DType::f64, {ops::kPoolStateRows, 2});

  EXPECT_THAT(contract_message([&] { ops::pool_piece(backend(), {.x_td = x, .state_kd = narrow.view()}); }),
              HasSubstr("pool_piece: state_kd has the shape [1, 2], expected [9, 2]"));
  EXPECT_THAT(
      contract_message([&] { ops::pool_piece(backend(), {.x_td = x, .tokens_before = -1, .state_kd = state.view()}); }),
      HasSubstr("pool_piece: tokens_before is -1"));
}

TEST_P(Pool, GivesTheSameBitsForAnyNumberOfThreads) {
  const Pack pack{{1200, 0, 1, 300}, 150};
  for (const PoolKind kind : kKinds) {
    expect_same_bits_for_any_threads(forward(pack, kind));
    expect_same_bits_for_any_threads(backward(pack, kind));
  }
  expect_same_bits_for_any_threads(attention(pack));
  expect_same_bits_for_any_threads(attention_backward(pack));
}

TEST_P(Pool, RefusesOffsetsThatDoNotCoverThePack) {
  const auto message = [&](const std::vector<std::int64_t>& offsets, std::int64_t sequences) {
    return contract_message([&] {
      Stage stage(backend());
      ops::pool(backend(), {.x_td = stage.activation(normal({5, 2}, 1)),
                            .seq_begin = offsets,
                            .y_sd = stage.activation_out("y", {sequences, 2})});
    });
  };

  EXPECT_THAT(message({0, 4}, 1), HasSubstr("pool: seq_begin ends at 4, but there are 5 tokens"));
  EXPECT_THAT(message({1, 5}, 1), HasSubstr("seq_begin starts at 1, expected 0"));
  EXPECT_THAT(message({0, 4, 3, 5}, 3), HasSubstr("seq_begin[2] = 3 is less than the 4 before it"));
  EXPECT_THAT(message({}, 0), HasSubstr("seq_begin is empty"));
  EXPECT_THAT(message({0, 5}, 2), HasSubstr("y_sd has the shape [2, 2], expected [1, 2]"));
}

INSTANTIATE_TEST_SUITE_P(On, Pool, testing::ValuesIn(back_ends()), name_of_case);

TEST(PoolReference, GradientsMatchFiniteDifferences) {
  const auto offsets = offsets_of({3, 0, 2});
  const HostTensor x = normal({5, 2}, 1);
  const HostTensor probe = normal({3, 2}, 2);
  for (const PoolKind kind : kKinds) {
    const auto loss = [&](const std::vector<HostTensor>& inputs) {
      const Results got = results_of(reference(), [&](Stage& stage) {
        ops::pool(stage.backend(), {.x_td = stage.activation(inputs[0]),
                                    .seq_begin = offsets,
                                    .kind = kind,
                                    .y_sd = stage.activation_out("y", {3, 2})});
      });
      return inner_product(named(got, "y"), probe);
    };
    const Results gradients = results_of(reference(), [&](Stage& stage) {
      ops::pool_backward(stage.backend(), {.x_td = stage.activation(x),
                                           .seq_begin = offsets,
                                           .kind = kind,
                                           .dy_sd = stage.activation(probe),
                                           .dx_td = stage.activation_out("dx", {5, 2})});
    });

    expect_gradients(loss, {x}, {named(gradients, "dx")});
  }
}

TEST(PoolReference, AttentionGradientsMatchFiniteDifferences) {
  const auto offsets = offsets_of({3, 0, 2});
  const HostTensor x = normal({5, 2}, 1);
  const HostTensor score = normal({5}, 3);
  const HostTensor probe = normal({3, 2}, 2);
  const auto run = [&](const std::vector<HostTensor>& inputs) {
    return results_of(reference(), [&](Stage& stage) {
      ops::attention_pool(stage.backend(), {.x_td = stage.activation(inputs[0]),
                                            .score_t = stage.activation(inputs[1]),
                                            .seq_begin = offsets,
                                            .y_sd = stage.activation_out("y", {3, 2}),
                                            .weight_t = stage.activation_out("weight", {5})});
    });
  };
  const Results gradients = results_of(reference(), [&](Stage& stage) {
    ops::attention_pool_backward(stage.backend(), {.x_td = stage.activation(x),
                                                   .weight_t = stage.activation(named(run({x, score}), "weight")),
                                                   .seq_begin = offsets,
                                                   .dy_sd = stage.activation(probe),
                                                   .dx_td = stage.activation_out("dx", {5, 2}),
                                                   .dscore_t = stage.activation_out("dscore", {5})});
  });

  expect_gradients([&](const std::vector<HostTensor>& inputs) { return inner_product(named(run(inputs), "y"), probe); },
                   {x, score}, {named(gradients, "dx"), named(gradients, "dscore")});
}

}  // namespace
}  // namespace strandline::test
