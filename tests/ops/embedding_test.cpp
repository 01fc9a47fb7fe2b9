#include <gmock/gmock.h>

#include "tests/ops/backend_suite.hpp"

namespace strandline::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int32_t> some_ids(std::int64_t tokens, std::int64_t vocabulary) {
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < tokens; ++t) ids.push_back(static_cast<std::int32_t>((t * t + 3 * t) % vocabulary));
  return ids;
}

OpCall forward(std::int64_t tokens, std::int64_t vocabulary, std::int64_t channels) {
  return [=](Stage& stage) {
    ops::embedding(stage.backend(), {.ids_t = stage.ids(some_ids(tokens, vocabulary)),
                                     .table_vd = stage.weight(normal({vocabulary, channels}, 1)),
                                     .y_td = stage.activation_out("y", {tokens, channels})});
  };
}

OpCall backward(std::int64_t tokens, std::int64_t vocabulary, std::int64_t channels) {
  return [=](Stage& stage) {
    ops::embedding_backward(stage.backend(),
                            {.ids_t = stage.ids(some_ids(tokens, vocabulary)),
                             .dy_td = stage.activation(normal({tokens, channels}, 2)),
                             .dtable_vd = stage.weight_inout("dtable", normal({vocabulary, channels}, 3))});
  };
}

class Embedding : public BackendSuite {};

TEST_P(Embedding, LooksRowsUp) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::embedding(stage.backend(), {.ids_t = stage.ids({2, 0, 2}),
                                     .table_vd = stage.weight(tensor_of({3, 2}, {1, 2, 3, 4, 5, 6})),
                                     .y_td = stage.activation_out("y", {3, 2})});
  });

  EXPECT_THAT(named(got, "y").values, ElementsAre(5, 6, 1, 2, 5, 6));
}

TEST_P(Embedding, AddsGradientsOfTheSameLetterUp) {
  const Results got = results_of(backend(), [](Stage& stage) {
    ops::embedding_backward(stage.backend(),
                            {.ids_t = stage.ids({2, 0, 2}),
                             .dy_td = stage.activation(tensor_of({3, 2}, {1, 2, 3, 4, 5, 6})),
                             .dtable_vd = stage.weight_inout("dtable", tensor_of({3, 2}, {0, 0, 7, 7, 1, 1}))});
  });

  EXPECT_THAT(named(got, "dtable").values, ElementsAre(3, 4, 7, 7, 7, 9));
}

TEST_P(Embedding, AgreesWithTheReferenceOnAwkwardShapes) {
  for (const std::int64_t channels : {0, 1, 33, 130}) {
    for (const std::int64_t tokens : {0, 1, 700}) {
      SCOPED_TRACE(testing::Message() << tokens << " x " << channels);
      expect_agreement(backend(), forward(tokens, 11, channels));
      expect_agreement(backend(), backward(tokens, 11, channels));
    }
  }
  expect_agreement(backend(), backward(50, 9000, 3));
  expect_agreement(backend(), forward(3000, 200, 132));
  expect_agreement(backend(), backward(3000, 200, 132));
}

TEST_P(Embedding, GivesTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_threads(forward(3000, 16, 70));
  expect_same_bits_for_any_threads(backward(3000, 16, 200));
}

TEST_P(Embedding, RefusesLettersOutsideTheVocabulary) {
  if (GetParam().on_gpu) return;  // letters in device memory are not looked at
  for (const std::int32_t id : {-1, 3}) {
    Stage stage(backend());

    const std::string message = contract_message([&] {
      ops::embedding(backend(), {.ids_t = stage.ids({0, id}),
                                 .table_vd = stage.weight(normal({3, 2}, 1)),
                                 .y_td = stage.activation_out("y", {2, 2})});
    });

    EXPECT_THAT(message, HasSubstr("ids_t[1] = " + std::to_string(id) + " is outside [0, 3)"));
  }
}

INSTANTIATE_TEST_SUITE_P(On, Embedding, testing::ValuesIn(back_ends()), name_of_case);

}  // namespace
}  // namespace strandline::test
