#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

struct AttentionCase {
  std::vector<std::int64_t> queries;
  std::vector<std::int64_t> keys;
  std::int64_t heads = 1;
  std::int64_t width = 4;
};

std::ostream& operator<<(std::ostream& out, const AttentionCase& each) {
  return out << testing::PrintToString(each.queries) << " to " << testing::PrintToString(each.keys) << ", "
             << each.heads << " heads of " << each.width;
}

// Ragged packs, sides that are empty, more keys than a block of the CPU's scratch takes
// rows for, and heads wider than a tile of the GPU.
const std::vector<AttentionCase>& cases() {
  static const std::vector<AttentionCase> all{
      {{1}, {1}, 1, 1},     {{3}, {5}, 2, 4}, {{0, 4, 2}, {3, 0, 7}, 3, 5}, {{65, 1}, {130, 64}, 2, 16},
      {{2}, {20000}, 1, 3}, {{}, {}, 2, 4},   {{67, 3}, {2, 66}, 2, 130}};
  return all;
}

Shape query_shape(const AttentionCase& c) { return {offsets_of(c.queries).back(), c.heads, c.width}; }
Shape key_shape(const AttentionCase& c) { return {offsets_of(c.keys).back(), c.heads, c.width}; }

struct Offsets {
  explicit Offsets(const AttentionCase& c) : queries(offsets_of(c.queries)), keys(offsets_of(c.keys)) {}
  std::vector<std::int64_t> queries;
  std::vector<std::int64_t> keys;
};

ops::AttentionArgs inputs(Stage& stage, const AttentionCase& c, const Offsets& offsets) {
  return {.q_thp = stage.activation(normal(query_shape(c), 1)),
          .k_uhp = stage.activation(normal(key_shape(c), 2)),
          .v_uhp = stage.activation(normal(key_shape(c), 3)),
          .query_begin = offsets.queries,
          .key_begin = offsets.keys,
          .scale = 0.7,
          .y_thp = {}};
}

// With what the forward keeps for the backward.
ops::AttentionArgs kept(Stage& stage, const AttentionCase& c, const Offsets& offsets, const Results& forward) {
  ops::AttentionArgs args = inputs(stage, c, offsets);
  args.y_thp = stage.activation_inout("y", named(forward, "y"));
  args.log_sum_th = stage.weight_inout("log_sum", named(forward, "log_sum"));
  return args;
}

OpCall attended(const AttentionCase& c) {
  return [c](Stage& stage) {
    const Offsets offsets(c);
    ops::AttentionArgs args = inputs(stage, c, offsets);
    args.y_thp = stage.activation_out("y", query_shape(c));
    args.log_sum_th = stage.weight_out("log_sum", {query_shape(c)[0], c.heads});
    ops::attention(stage.backend(), args);
  };
}

// y and log_sum from the reference, so that the backward alone is judged.
OpCall attended_backward(const AttentionCase& c) {
  const Results forward = results_of(reference(), attended(c));
  return [c, forward](Stage& stage) {
    const Offsets offsets(c);
    ops::attention_backward(stage.backend(), {.forward = kept(stage, c, offsets, forward),
                                              .dy_thp = stage.activation(normal(query_shape(c), 4)),
                                              .dq_thp = stage.activation_out("dq", query_shape(c)),
                                              .dk_uhp = stage.activation_out("dk", key_shape(c)),
                                              .dv_uhp = stage.activation_out("dv", key_shape(c))});
  };
}

OpCall softened(const Shape& shape) {
  return [shape](Stage& stage) {
    ops::softmax(
        stage.backend(),
        {.x_tc = stage.activation(normal(shape, 1, 0.0, 3.0)), .scale = 0.5, .y_tc = stage.activation_out("y", shape)});
  };
}

OpCall softened_backward(const Shape& shape) {
  const HostTensor y = named(results_of(reference(), softened(shape)), "y");
  return [shape, y](Stage& stage) {
    ops::softmax_backward(stage.backend(), {.y_tc = stage.activation(y),
                                            .scale = 0.5,
                                            .dy_tc = stage.activation(normal(shape, 3)),
                                            .dx_tc = stage.activation_out("dx", shape)});
  };
}

class Attention : public BackendSuite {};

TEST_P(Attention, WeighsValuesByTheSoftmaxOfTheProducts) {
  // q . k is log 3 and 0: the weights are 3/4 and 1/4, and the sum of the exponentials is 4.
  const Results got = results_of(backend(), [](Stage& stage) {
    const std::vector<std::int64_t> one{0, 1};
    const std::vector<std::int64_t> two{0, 2};
    ops::attention(stage.backend(), {.q_thp = stage.activation(tensor_of({1, 1, 1}, {1})),
                                     .k_uhp = stage.activation(tensor_of({2, 1, 1}, {std::log(3.0), 0})),
                                     .v_uhp = stage.activation(tensor_of({2, 1, 1}, {8, 16})),
                                     .query_begin = one,
                                     .key_begin = two,
                                     .y_thp = stage.activation_out("y", {1, 1, 1}),
                                     .log_sum_th = stage.weight_out("log_sum", {1, 1})});
  });

  EXPECT_NEAR(named(got, "y").values[0], 10.0, near(1e-5, 10.0));
  EXPECT_NEAR(named(got, "log_sum").values[0], std::log(4.0), near(1e-6, std::log(4.0)));
}

TEST_P(Attention, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const AttentionCase& each : cases()) {
    SCOPED_TRACE(testing::Message() << each);
    expect_agreement(backend(), attended(each));
  }
}

TEST_P(Attention, GradientsAgreeWithTheReferenceOnAwkwardShapes) {
  for (const AttentionCase& each : cases()) {
    SCOPED_TRACE(testing::Message() << each);
    expect_agreement(backend(), attended_backward(each));
  }
}

TEST_P(Attention, KeepsSequencesApart) {
  // The second sequence alone has the bits that it has in the pack.
  const HostTensor q = normal({9, 2, 5}, 1);
  const HostTensor k = normal({11, 2, 5}, 2);
  const auto y = [&](const HostTensor& queries, const HostTensor& keys, const std::vector<std::int64_t>& query_begin,
                     const std::vector<std::int64_t>& key_begin) {
    return named(results_of(backend(),
                            [&](Stage& stage) {
                              ops::attention(stage.backend(), {.q_thp = stage.activation(queries),
                                                               .k_uhp = stage.activation(keys),
                                                               .v_uhp = stage.activation(keys),
                                                               .query_begin = query_begin,
                                                               .key_begin = key_begin,
                                                               .y_thp = stage.activation_out("y", queries.shape)});
                            }),
                 "y");
  };

  EXPECT_EQ(first_difference(y(q.rows(4, 9), k.rows(3, 11), {0, 5}, {0, 8}), y(q, k, {0, 4, 9}, {0, 3, 11}).rows(4, 9)),
            "");
}

TEST_P(Attention, StaysFiniteForLargeScores) {
  const std::vector<std::int64_t> two{0, 2};
  const Results got = results_of(backend(), [&](Stage& stage) {
    ops::attention(stage.backend(), {.q_thp = stage.activation(tensor_of({2, 1, 1}, {1000, -1000})),
                                     .k_uhp = stage.activation(tensor_of({2, 1, 1}, {1, -1})),
                                     .v_uhp = stage.activation(tensor_of({2, 1, 1}, {5, 7})),
                                     .query_begin = two,
                                     .key_begin = two,
                                     .y_thp = stage.activation_out("y", {2, 1, 1})});
  });

  EXPECT_EQ(named(got, "y").values, (std::vector<double>{5, 7}));
}

TEST_P(Attention, LeavesAbsentGradientsOut) {
  const AttentionCase c{{3, 4}, {5, 2}, 2, 4};
  const Results forward = results_of(reference(), attended(c));
  const Results all = results_of(backend(), attended_backward(c));
  const Results got = results_of(backend(), [&](Stage& stage) {
    const Offsets offsets(c);
    ops::attention_backward(stage.backend(), {.forward = kept(stage, c, offsets, forward),
                                              .dy_thp = stage.activation(normal(query_shape(c), 4)),
                                              .dv_uhp = stage.activation_out("dv", key_shape(c))});
  });

  EXPECT_EQ(first_difference(named(got, "dv"), named(all, "dv")), "");
}

TEST_P(Attention, SoftmaxAgreesWithTheReference) {
  for (const Shape& shape : {Shape{0, 3}, Shape{1, 1}, Shape{5, 33}, Shape{70, 300}}) {
    SCOPED_TRACE(to_string(shape));
    expect_agreement(backend(), softened(shape));
    expect_agreement(backend(), softened_backward(shape));
  }
}

TEST_P(Attention, GivesTheSameBitsForAnyNumberOfThreads) {
  const AttentionCase c{{200, 90}, {150, 300}, 3, 8};
  expect_same_bits_for_any_threads(attended(c));
  expect_same_bits_for_any_threads(attended_backward(c));
  expect_same_bits_for_any_threads(softened({300, 200}));
  expect_same_bits_for_any_threads(softened_backward({300, 200}));
}

TEST_P(Attention, RefusesPacksOfDifferentNumbersOfSequences) {
  Stage stage(backend());
  const std::vector<std::int64_t> one{0, 2};
  const std::vector<std::int64_t> two{0, 1, 2};
  const ConstView x = stage.activation(normal({2, 1, 4}, 1));

  EXPECT_THAT(contract_message([&] {
                ops::attention(backend(), {.q_thp = x,
                                           .k_uhp = x,
                                           .v_uhp = x,
                                           .query_begin = one,
                                           .key_begin = two,
                                           .y_thp = stage.activation_out("y", {2, 1, 4})});
              }),
              HasSubstr("attention: query_begin names 1 sequences, key_begin 2"));
}

TEST_P(Attention, RefusesKeysOfAnotherWidth) {
  Stage stage(backend());
  const std::vector<std::int64_t> two{0, 2};

  EXPECT_THAT(contract_message([&] {
                ops::attention(backend(), {.q_thp = stage.activation(normal({2, 1, 4}, 1)),
                                           .k_uhp = stage.activation(normal({2, 1, 5}, 1)),
                                           .v_uhp = stage.activation(normal({2, 1, 4}, 1)),
                                           .query_begin = two,
                                           .key_begin = two,
                                           .y_thp = stage.activation_out("y", {2, 1, 4})});
              }),
              HasSubstr("attention: k_uhp has the shape [2, 1, 5], expected [2, 1, 4]"));
}

INSTANTIATE_TEST_SUITE_P(On, Attention, testing::ValuesIn(back_ends()), name_of_case);

TEST(AttentionReference, GradientsMatchFiniteDifferences) {
  const AttentionCase c{{2, 3}, {4, 1}, 2, 3};
  const HostTensor q = normal(query_shape(c), 1);
  const HostTensor k = normal(key_shape(c), 2);
  const HostTensor v = normal(key_shape(c), 3);
  const HostTensor probe = normal(query_shape(c), 4);
  const auto query_begin = offsets_of(c.queries);
  const auto key_begin = offsets_of(c.keys);
  const auto loss = [&](const std::vector<HostTensor>& inputs) {
    const Results got = results_of(reference(), [&](Stage& stage) {
      ops::attention(stage.backend(), {.q_thp = stage.activation(inputs[0]),
                                       .k_uhp = stage.activation(inputs[1]),
                                       .v_uhp = stage.activation(inputs[2]),
                                       .query_begin = query_begin,
                                       .key_begin = key_begin,
                                       .scale = 0.7,
                                       .y_thp = stage.activation_out("y", query_shape(c))});
    });
    return inner_product(named(got, "y"), probe);
  };

  const Results gradients = results_of(reference(), attended_backward(c));

  expect_gradients(loss, {q, k, v}, {named(gradients, "dq"), named(gradients, "dk"), named(gradients, "dv")});
}

TEST(SoftmaxReference, GradientsMatchFiniteDifferences) {
  const Shape shape{3, 5};
  const HostTensor x = normal(shape, 1, 0.0, 3.0);
  const HostTensor probe = normal(shape, 3);
  const auto loss = [&](const std::vector<HostTensor>& inputs) {
    const Results got = results_of(reference(), [&](Stage& stage) {
      ops::softmax(stage.backend(),
                   {.x_tc = stage.activation(inputs[0]), .scale = 0.5, .y_tc = stage.activation_out("y", shape)});
    });
    return inner_product(named(got, "y"), probe);
  };

  expect_gradients(loss, {x}, {named(results_of(reference(), softened_backward(shape)), "dx")});
}

}  // namespace
}  // namespace strandline::test
