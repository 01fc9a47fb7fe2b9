#include <gmock/gmock.h>

#include <cmath>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::HasSubstr;

struct LossCase {
  std::int64_t samples;
  std::int64_t classes;
  bool weighted = false;
  double smoothing = 0.0;
  double spread = 2.0;
};

std::vector<std::int32_t> labels_of(const LossCase& shape) {
  std::vector<std::int32_t> labels;
  for (std::int64_t s = 0; s < shape.samples; ++s) labels.push_back(static_cast<std::int32_t>(s * 7 % shape.classes));
  return labels;
}

OpCall loss_and_gradient(const LossCase& shape) {
  return [shape](Stage& stage) {
    const Shape sc{shape.samples, shape.classes};
    ops::cross_entropy(
        stage.backend(),
        {.logits_sc = stage.weight(normal(sc, 1, 0.0, shape.spread)),
         .label_s = stage.ids(labels_of(shape)),
         .class_weight_c = shape.weighted ? stage.weight(normal({shape.classes}, 2, 2.0, 0.3)) : ConstView{},
         .label_smoothing = shape.smoothing,
         .scale = 0.125,
         .loss_s = stage.weight_out("loss", {shape.samples}),
         .dlogits_sc = stage.weight_out("dlogits", sc)});
  };
}

class CrossEntropy : public BackendSuite {};

TEST_P(CrossEntropy, IsTheLogarithmOfTheShareOfTheLabel) {
  // Logits log 1, log 3: shares 1/4 and 3/4. With scale 2 the gradient is twice the shares less the target.
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::cross_entropy(stage.backend(), {.logits_sc = stage.weight(tensor_of({1, 2}, {0, std::log(3.0)})),
                                         .label_s = stage.ids({0}),
                                         .scale = 2.0,
                                         .loss_s = stage.weight_out("loss", {1}),
                                         .dlogits_sc = stage.weight_out("dlogits", {1, 2})});
  });

  EXPECT_NEAR(named(got, "loss").values[0], std::log(4.0), 1e-6);
  EXPECT_NEAR(named(got, "dlogits").values[0], -1.5, 1e-6);
  EXPECT_NEAR(named(got, "dlogits").values[1], 1.5, 1e-6);
}

TEST_P(CrossEntropy, AgreesWithTheReference) {
  for (const LossCase& shape :
       {LossCase{0, 3}, LossCase{1, 1}, LossCase{5, 2, true, 0.1}, LossCase{300, 17, true, 0.05},
        LossCase{40, 33, false, 1.0}, LossCase{20, 4, false, 0.0, 60.0}}) {
    SCOPED_TRACE(testing::Message() << shape.samples << " x " << shape.classes);
    expect_agreement(backend(), loss_and_gradient(shape));
  }
}

TEST_P(CrossEntropy, StaysFiniteForHugeLogits) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::cross_entropy(stage.backend(), {.logits_sc = stage.weight(tensor_of({1, 3}, {1e30, -1e30, 0})),
                                         .label_s = stage.ids({0}),
                                         .loss_s = stage.weight_out("loss", {1}),
                                         .dlogits_sc = stage.weight_out("dlogits", {1, 3})});
  });

  EXPECT_EQ(named(got, "loss").values[0], 0.0);
  EXPECT_THAT(named(got, "dlogits").values, testing::ElementsAre(0, 0, 0));
}

TEST_P(CrossEntropy, WritesTheGradientOverTheLogits) {
  const LossCase shape{9, 5};
  const Results in_place = results_of(backend(), [&](Stage& stage) {
    const View logits = stage.weight_inout("dlogits", normal({9, 5}, 1, 0.0, 2.0));
    ops::cross_entropy(
        stage.backend(),
        {.logits_sc = logits, .label_s = stage.ids(labels_of(shape)), .scale = 0.125, .dlogits_sc = logits});
  });

  const Results apart = results_of(backend(), loss_and_gradient(shape));
  EXPECT_EQ(first_difference(named(in_place, "dlogits"), named(apart, "dlogits")), "");
}

TEST_P(CrossEntropy, GivesTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_threads(loss_and_gradient({2000, 9, true, 0.1}));
}

TEST_P(CrossEntropy, RefusesLabelsOutsideTheClasses) {
  if (GetParam().on_gpu) return;  // labels in device memory are not looked at
  Stage stage(backend());

  const std::string message = contract_message([&] {
    ops::cross_entropy(backend(), {.logits_sc = stage.weight(zeros({2, 3})), .label_s = stage.ids({1, 3})});
  });

  EXPECT_THAT(message, HasSubstr("cross_entropy: label_s[1] = 3 is outside [0, 3)"));
}

INSTANTIATE_TEST_SUITE_P(On, CrossEntropy, testing::ValuesIn(back_ends()), name_of_case);

TEST(CrossEntropyReference, GradientMatchesFiniteDifferences) {
  const LossCase shape{3, 4, true, 0.2};
  const auto run = [&](const HostTensor& logits) {
    return results_of(reference(), [&](Stage& stage) {
      ops::cross_entropy(stage.backend(), {.logits_sc = stage.weight(logits),
                                           .label_s = stage.ids(labels_of(shape)),
                                           .class_weight_c = stage.weight(normal({4}, 2, 2.0, 0.3)),
                                           .label_smoothing = shape.smoothing,
                                           .loss_s = stage.weight_out("loss", {3}),
                                           .dlogits_sc = stage.weight_out("dlogits", {3, 4})});
    });
  };
  const HostTensor logits = normal({3, 4}, 1);
  const HostTensor ones = tensor_of({3}, {1, 1, 1});

  expect_gradients(
      [&](const std::vector<HostTensor>& inputs) { return inner_product(named(run(inputs[0]), "loss"), ones); },
      {logits}, {named(run(logits), "dlogits")});
}

}  // namespace
}  // namespace strandline::test
