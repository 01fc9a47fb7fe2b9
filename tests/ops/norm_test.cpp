#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using ops::GateOrder;
using testing::HasSubstr;

struct NormCase {
  std::int64_t tokens;
  std::int64_t channels;
  std::int64_t groups = 1;
};

const std::vector<NormCase>& cases() {
  // Wide ones: a GPU gives a row to 32, 64, 128 or 1024 threads.
  static const std::vector<NormCase> all{{0, 4},    {40, 1},   {1, 7},      {5, 64},  {2, 129, 3}, {17, 48, 4},
                                         {300, 33}, {70, 256}, {9, 768, 2}, {3, 768}, {3, 1536},   {2, 3000}};
  return all;
}

OpCall plain(const NormCase& shape) {
  return [shape](Stage& stage) {
    ops::rms_norm(stage.backend(), {.x_td = stage.activation(normal({shape.tokens, shape.channels}, 1)),
                                    .weight_d = stage.weight(normal({shape.channels}, 2, 1.0, 0.3)),
                                    .y_td = stage.activation_out("y", {shape.tokens, shape.channels})});
  };
}

// Without `with_dweight` the sum over tokens is left out: of a single channel it is a single number, and in bf16, where
// the bound comes from rounding alone, errors can be compared only as a sample.
OpCall plain_backward(const NormCase& shape, bool accumulate, bool with_dweight = true) {
  return [shape, accumulate, with_dweight](Stage& stage) {
    const Shape td{shape.tokens, shape.channels};
    const auto dweight = [&] { return stage.weight_inout("dweight", normal({shape.channels}, 5)); };
    ops::rms_norm_backward(stage.backend(), {.x_td = stage.activation(normal(td, 1)),
                                             .weight_d = stage.weight(normal({shape.channels}, 2, 1.0, 0.3)),
                                             .dy_td = stage.activation(normal(td, 3)),
                                             .dx_td = accumulate ? stage.activation_inout("dx", normal(td, 4))
                                                                 : stage.activation_out("dx", td),
                                             .accumulate_dx = accumulate,
                                             .dweight_d = with_dweight ? dweight() : View{}});
  };
}

OpCall gated(const NormCase& shape, GateOrder order) {
  return [shape, order](Stage& stage) {
    const Shape td{shape.tokens, shape.channels};
    ops::gated_rms_norm(stage.backend(), {.x_td = stage.activation(normal(td, 1)),
                                          .z_td = stage.activation(normal(td, 6, 0.0, 3.0)),
                                          .weight_d = stage.weight(normal({shape.channels}, 2, 1.0, 0.3)),
                                          .groups = shape.groups,
                                          .order = order,
                                          .y_td = stage.activation_out("y", td)});
  };
}

OpCall gated_backward(const NormCase& shape, GateOrder order, bool with_dweight = true) {
  return [shape, order, with_dweight](Stage& stage) {
    const Shape td{shape.tokens, shape.channels};
    const auto dweight = [&] { return stage.weight_inout("dweight", normal({shape.channels}, 5)); };
    ops::gated_rms_norm_backward(stage.backend(), {.x_td = stage.activation(normal(td, 1)),
                                                   .z_td = stage.activation(normal(td, 6, 0.0, 3.0)),
                                                   .weight_d = stage.weight(normal({shape.channels}, 2, 1.0, 0.3)),
                                                   .groups = shape.groups,
                                                   .order = order,
                                                   .dy_td = stage.activation(normal(td, 3)),
                                                   .dx_td = stage.activation_out("dx", td),
                                                   .dz_td = stage.activation_out("dz", td),
                                                   .dweight_d = with_dweight ? dweight() : View{}});
  };
}

class Norm : public BackendSuite {};

TEST_P(Norm, DividesByTheRootMeanSquare) {
  // mean of 3^2, 4^2, 0, 0 is 6.25, and with eps = 0 the root is 2.5.
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::rms_norm(stage.backend(), {.x_td = stage.activation(tensor_of({1, 4}, {3, 4, 0, 0})),
                                    .weight_d = stage.weight(tensor_of({4}, {1, 10, 1, 1})),
                                    .eps = 0.0,
                                    .y_td = stage.activation_out("y", {1, 4})});
  });

  const auto& y = named(got, "y").values;
  EXPECT_NEAR(y[0], 1.2, near(1e-6, 1.2));
  EXPECT_NEAR(y[1], 16.0, near(1e-5, 16.0));
  EXPECT_EQ(y[2], 0.0);
}

TEST_P(Norm, GatesBeforeOrAfter) {
  // silu(0) = 0 and silu(40) = 40 to the last bit. Gated first, the second channel alone makes the norm: 80 /
  // sqrt(3200). Gated last, the norm of (3, 2, ...) is 2.55.
  const auto y = [&](GateOrder order) {
    return named(results_of(backend(),
                            [order](Stage& stage) {
                              ops::gated_rms_norm(stage.backend(),
                                                  {.x_td = stage.activation(tensor_of({1, 2}, {3, 2})),
                                                   .z_td = stage.activation(tensor_of({1, 2}, {0, 40})),
                                                   .weight_d = stage.weight(tensor_of({2}, {1, 1})),
                                                   .order = order,
                                                   .eps = 0.0,
                                                   .y_td = stage.activation_out("y", {1, 2})});
                            }),
                 "y")
        .values;
  };

  const auto gate_first = y(GateOrder::gate_then_norm);
  const auto gate_last = y(GateOrder::norm_then_gate);

  EXPECT_EQ(gate_first[0], 0.0);
  EXPECT_NEAR(gate_first[1], std::sqrt(2.0), near(1e-6, 1.4));
  EXPECT_EQ(gate_last[0], 0.0);
  EXPECT_NEAR(gate_last[1], 2.0 / std::sqrt(6.5) * 40.0, near(1e-5, 31.0));
}

TEST_P(Norm, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const NormCase& shape : cases()) {
    SCOPED_TRACE(testing::Message() << shape.tokens << " x " << shape.channels << " / " << shape.groups);
    expect_agreement(backend(), plain(shape));
    expect_agreement(backend(), gated(shape, GateOrder::gate_then_norm));
    expect_agreement(backend(), gated(shape, GateOrder::norm_then_gate));
  }
}

TEST_P(Norm, GradientsAgreeWithTheReferenceOnAwkwardShapes) {
  for (const NormCase& shape : cases()) {
    SCOPED_TRACE(testing::Message() << shape.tokens << " x " << shape.channels << " / " << shape.groups);
    const bool is_sample = backend().dtype() != DType::bf16 || shape.channels > 1;
    expect_agreement(backend(), plain_backward(shape, false, is_sample));
    expect_agreement(backend(), plain_backward(shape, true, is_sample));
    expect_agreement(backend(), gated_backward(shape, GateOrder::gate_then_norm, is_sample));
    expect_agreement(backend(), gated_backward(shape, GateOrder::norm_then_gate, is_sample));
  }
}

TEST_P(Norm, GivesARowTheSameBitsInAnyPack) {
  const HostTensor x = normal({50, 37}, 1);
  const auto rows = [&](std::int64_t begin, std::int64_t end) {
    return named(results_of(backend(),
                            [&](Stage& stage) {
                              ops::rms_norm(stage.backend(), {.x_td = stage.activation(x.rows(begin, end)),
                                                              .weight_d = stage.weight(normal({37}, 2)),
                                                              .y_td = stage.activation_out("y", {end - begin, 37})});
                            }),
                 "y");
  };

  EXPECT_EQ(first_difference(rows(13, 31), rows(0, 50).rows(13, 31)), "");
}

TEST_P(Norm, GivesTheSameBitsForAnyNumberOfThreads) {
  const NormCase shape{1500, 96, 2};
  expect_same_bits_for_any_threads(plain(shape));
  expect_same_bits_for_any_threads(plain_backward(shape, true));
  expect_same_bits_for_any_threads(gated(shape, GateOrder::norm_then_gate));
  expect_same_bits_for_any_threads(gated_backward(shape, GateOrder::gate_then_norm));
}

TEST_P(Norm, WorksInPlace) {
  const auto in_place = results_of(backend(), [](Stage& stage) {
    const View y = stage.activation_inout("y", normal({6, 40}, 1));
    ops::gated_rms_norm(stage.backend(), {.x_td = y,
                                          .z_td = stage.activation(normal({6, 40}, 6, 0.0, 3.0)),
                                          .weight_d = stage.weight(normal({40}, 2, 1.0, 0.3)),
                                          .groups = 2,
                                          .y_td = y});
  });

  expect_same_bits(in_place, results_of(backend(), gated({6, 40, 2}, GateOrder::gate_then_norm)));
}

TEST_P(Norm, LeavesAbsentGradientsOut) {
  const NormCase shape{9, 24, 2};
  for (const GateOrder order : {GateOrder::gate_then_norm, GateOrder::norm_then_gate}) {
    const Results all = results_of(backend(), gated_backward(shape, order));
    const Results got = results_of(backend(), [order](Stage& stage) {
      ops::gated_rms_norm_backward(stage.backend(), {.x_td = stage.activation(normal({9, 24}, 1)),
                                                     .z_td = stage.activation(normal({9, 24}, 6, 0.0, 3.0)),
                                                     .weight_d = stage.weight(normal({24}, 2, 1.0, 0.3)),
                                                     .groups = 2,
                                                     .order = order,
                                                     .dy_td = stage.activation(normal({9, 24}, 3)),
                                                     .dz_td = stage.activation_out("dz", {9, 24})});
    });

    EXPECT_EQ(first_difference(named(got, "dz"), named(all, "dz")), "");
  }
}

TEST_P(Norm, RefusesGroupsThatDoNotDivideTheChannels) {
  EXPECT_THAT(contract_message([&] {
                results_of(backend(), gated({2, 10, 4}, GateOrder::gate_then_norm));
              }),
              HasSubstr("gated_rms_norm: groups = 4 does not divide the channels of x_td [2, 10]"));
}

TEST_P(Norm, RefusesAGateOfAnotherShape) {
  Stage stage(backend());

  const std::string message = contract_message([&] {
    ops::gated_rms_norm(backend(), {.x_td = stage.activation(normal({2, 8}, 1)),
                                    .z_td = stage.activation(normal({3, 8}, 2)),
                                    .weight_d = stage.weight(normal({8}, 3)),
                                    .y_td = stage.activation_out("y", {2, 8})});
  });

  EXPECT_THAT(message, HasSubstr("z_td has the shape [3, 8], expected [2, 8]"));
}

INSTANTIATE_TEST_SUITE_P(On, Norm, testing::ValuesIn(back_ends()), name_of_case);

TEST(NormReference, GradientsMatchFiniteDifferences) {
  const HostTensor x = normal({3, 4}, 1);
  const HostTensor weight = normal({4}, 2, 1.0, 0.3);
  const HostTensor probe = normal({3, 4}, 3);
  const auto loss = [&](const std::vector<HostTensor>& inputs) {
    const Results got = results_of(reference(), [&](Stage& stage) {
      ops::rms_norm(stage.backend(), {.x_td = stage.activation(inputs[0]),
                                      .weight_d = stage.weight(inputs[1]),
                                      .y_td = stage.activation_out("y", {3, 4})});
    });
    return inner_product(named(got, "y"), probe);
  };
  const Results gradients = results_of(reference(), [&](Stage& stage) {
    ops::rms_norm_backward(stage.backend(), {.x_td = stage.activation(x),
                                             .weight_d = stage.weight(weight),
                                             .dy_td = stage.activation(probe),
                                             .dx_td = stage.activation_out("dx", {3, 4}),
                                             .dweight_d = stage.weight_inout("dweight", zeros({4}))});
  });

  expect_gradients(loss, {x, weight}, {named(gradients, "dx"), named(gradients, "dweight")});
}

TEST(NormReference, GatedGradientsMatchFiniteDifferences) {
  const HostTensor x = normal({3, 6}, 1);
  const HostTensor z = normal({3, 6}, 6, 0.0, 2.0);
  const HostTensor weight = normal({6}, 2, 1.0, 0.3);
  const HostTensor probe = normal({3, 6}, 3);
  for (const GateOrder order : {GateOrder::gate_then_norm, GateOrder::norm_then_gate}) {
    const auto loss = [&](const std::vector<HostTensor>& inputs) {
      const Results got = results_of(reference(), [&](Stage& stage) {
        ops::gated_rms_norm(stage.backend(), {.x_td = stage.activation(inputs[0]),
                                              .z_td = stage.activation(inputs[1]),
                                              .weight_d = stage.weight(inputs[2]),
                                              .groups = 2,
                                              .order = order,
                                              .y_td = stage.activation_out("y", {3, 6})});
      });
      return inner_product(named(got, "y"), probe);
    };
    const Results gradients = results_of(reference(), [&](Stage& stage) {
      ops::gated_rms_norm_backward(stage.backend(), {.x_td = stage.activation(x),
                                                     .z_td = stage.activation(z),
                                                     .weight_d = stage.weight(weight),
                                                     .groups = 2,
                                                     .order = order,
                                                     .dy_td = stage.activation(probe),
                                                     .dx_td = stage.activation_out("dx", {3, 6}),
                                                     .dz_td = stage.activation_out("dz", {3, 6}),
                                                     .dweight_d = stage.weight_inout("dweight", zeros({6}))});
    });

    expect_gradients(loss, {x, z, weight},
                     {named(gradients, "dx"), named(gradients, "dz"), named(gradients, "dweight")});
  }
}

}  // namespace
}  // namespace strandline::test
