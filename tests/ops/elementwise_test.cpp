#include <gmock/gmock.h>

#include <algorithm>

#include "core/base/philox.hpp"
#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

OpCall sum_of(const Shape& shape) {
  return [shape](Stage& stage) {
    ops::add(stage.backend(), stage.activation(normal(shape, 1)), stage.activation_inout("y", normal(shape, 2)));
  };
}

OpCall product_of(const Shape& shape) {
  return [shape](Stage& stage) {
    ops::multiply(stage.backend(), stage.activation(normal(shape, 1)), stage.activation_inout("y", normal(shape, 2)));
  };
}

OpCall reversed(const Shape& shape) {
  return [shape](Stage& stage) {
    ops::reverse_channels(stage.backend(), stage.activation(normal(shape, 1)), stage.activation_out("y", shape));
  };
}

OpCall dropped(std::int64_t tokens, std::int64_t channels, double p, std::int64_t first_row = 0) {
  return [=](Stage& stage) {
    ops::dropout(
        stage.backend(),
        {.x_td = stage.activation(normal({first_row + tokens, channels}, 1).rows(first_row, first_row + tokens)),
         .p = p,
         .seed = 77,
         .stream = 5,
         .first_row = first_row,
         .y_td = stage.activation_out("y", {tokens, channels})});
  };
}

class Elementwise : public BackendSuite {};

TEST_P(Elementwise, AddsOneTensorToAnother) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::add(stage.backend(), stage.activation(tensor_of({2, 2}, {1, 2, 3, 4})),
             stage.activation_inout("y", tensor_of({2, 2}, {10, 20, 30, 40})));
  });

  EXPECT_THAT(named(got, "y").values, ElementsAre(11, 22, 33, 44));
}

TEST_P(Elementwise, AddsTensorsOfAnyRank) {
  for (const Shape& shape :
       {Shape{7}, Shape{0, 3}, Shape{5, 33}, Shape{2, 3, 19}, Shape{2, 3, 4, 5}, Shape{40, 1000}}) {
    SCOPED_TRACE(to_string(shape));
    expect_agreement(backend(), sum_of(shape), {.types = Types::alike});
  }
}

TEST_P(Elementwise, MultipliesOneTensorIntoAnother) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::multiply(stage.backend(), stage.activation(tensor_of({2, 2}, {1, 2, 3, 4})),
                  stage.activation_inout("y", tensor_of({2, 2}, {10, 20, 30, 40})));
  });

  EXPECT_THAT(named(got, "y").values, ElementsAre(10, 40, 90, 160));
  for (const Shape& shape : {Shape{7}, Shape{0, 3}, Shape{5, 33}, Shape{2, 3, 19}, Shape{40, 1000}}) {
    SCOPED_TRACE(to_string(shape));
    expect_agreement(backend(), product_of(shape), {.types = Types::alike});
  }
}

TEST_P(Elementwise, ReversesTheChannelsOfEveryRow) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::reverse_channels(stage.backend(), stage.activation(tensor_of({2, 3}, {1, 2, 3, 4, 5, 6})),
                          stage.activation_out("y", {2, 3}));
  });

  EXPECT_THAT(named(got, "y").values, ElementsAre(3, 2, 1, 6, 5, 4));
  for (const Shape& shape : {Shape{0, 3}, Shape{1, 1}, Shape{5, 33}, Shape{40, 1000}}) {
    SCOPED_TRACE(to_string(shape));
    expect_agreement(backend(), reversed(shape), {.types = Types::alike});
  }
}

TEST_P(Elementwise, DropsTheShareThatItIsAskedTo) {
  const HostTensor y = named(results_of(backend(), dropped(500, 40, 0.25)), "y");

  const auto zeros = std::count(y.values.begin(), y.values.end(), 0.0);

  EXPECT_NEAR(static_cast<double>(zeros) / 20000.0, 0.25, 0.015);  // five standard deviations
}

TEST_P(Elementwise, DrawsByPlaceAndScalesWhatIsKept) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::dropout(stage.backend(), {.x_td = stage.activation(tensor_of({2, 3}, {1, 1, 1, 1, 1, 1})),
                                   .p = 0.5,
                                   .seed = 1,
                                   .stream = 2,
                                   .first_row = 1,
                                   .y_td = stage.activation_out("y", {2, 3})});
  });

  for (std::size_t i = 0; i < 6; ++i) {
    const std::uint64_t draw = 3 + i;  // one row of three channels comes before
    const bool keep = philox(1, 2, draw / 4)[draw % 4] >= 0x80000000U;
    EXPECT_EQ(named(got, "y").values[i], keep ? 2.0 : 0.0) << i;
  }
}

TEST_P(Elementwise, DropoutAgreesWithTheReference) {
  for (const std::int64_t channels : {1, 3, 64, 129}) expect_agreement(backend(), dropped(70, channels, 0.1, 3));
  expect_agreement(backend(), dropped(10, 9, 0.0));
}

TEST_P(Elementwise, DropsTheSameInPiecesAsAtOnce) {
  const HostTensor all = named(results_of(backend(), dropped(50, 13, 0.3)), "y");

  EXPECT_EQ(first_difference(named(results_of(backend(), dropped(20, 13, 0.3, 30)), "y"), all.rows(30, 50)), "");
}

TEST_P(Elementwise, GivesTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_threads(sum_of({300, 200}));
  expect_same_bits_for_any_threads(product_of({300, 200}));
  expect_same_bits_for_any_threads(reversed({300, 200}));
  expect_same_bits_for_any_threads(dropped(1000, 77, 0.2));
}

TEST_P(Elementwise, RefusesWhatCannotBeAddedOrDropped) {
  Stage stage(backend());
  const ConstView x = stage.activation(normal({4, 6}, 1));

  EXPECT_THAT(contract_message([&] {
                ops::add(backend(), x, stage.activation_out("y", {4, 5}));
              }),
              HasSubstr("add: y has the shape [4, 5], expected [4, 6]"));
  EXPECT_THAT(contract_message([&] {
                ops::multiply(backend(), x, stage.activation_out("y", {3, 6}));
              }),
              HasSubstr("multiply: y has the shape [3, 6], expected [4, 6]"));
  EXPECT_THAT(contract_message([&] {
                ops::reverse_channels(backend(), x, stage.activation_out("y", {4, 7}));
              }),
              HasSubstr("reverse_channels: y_td has the shape [4, 7], expected [4, 6]"));
  EXPECT_THAT(contract_message([&] { results_of(backend(), dropped(2, 2, 1.0)); }), HasSubstr("is outside [0, 1)"));
}

INSTANTIATE_TEST_SUITE_P(On, Elementwise, testing::ValuesIn(back_ends()), name_of_case);

}  // namespace
}  // namespace strandline::test
