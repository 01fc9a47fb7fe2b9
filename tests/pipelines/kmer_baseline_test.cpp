#include "pipelines/dna/kmer_baseline.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/dna/window_sampler.hpp"
#include "tests/pipelines/genomes_for_tests.hpp"

namespace strandline {
namespace {

std::vector<float> frequencies(int k, bool canonical, std::string_view letters) {
  const KmerCounter counter(k, canonical);
  std::vector<std::int32_t> ids(letters.size());
  dna::tokenize(letters, ids.data());
  std::vector<float> out(static_cast<std::size_t>(counter.features()));
  counter.count(ids, out);
  return out;
}

TEST(KmerCounter, HasTheKnownNumberOfFeatures) {
  EXPECT_EQ(KmerCounter(3, false).features(), 64);
  EXPECT_EQ(KmerCounter(3, true).features(), 32);
  EXPECT_EQ(KmerCounter(4, true).features(), 136);  // (256 + 16) / 2: sixteen 4-mers are their own reverse complements
  EXPECT_THROW(KmerCounter(0, true), ContractError);
}

TEST(KmerCounter, CountsByHand) {
  // A, C, G, T in this order; T goes with A and G with C.
  EXPECT_EQ(frequencies(1, false, "AACGTN"), (std::vector<float>{0.4F, 0.2F, 0.2F, 0.2F}));
  EXPECT_EQ(frequencies(1, true, "AACGTN"), (std::vector<float>{0.6F, 0.4F}));
  EXPECT_EQ(frequencies(2, true, "N"), std::vector<float>(10));
}

TEST(KmerCounter, LeavesOutWhatSpansAnUnknownBase) {
  EXPECT_EQ(frequencies(3, true, "ACGNACG"), frequencies(3, true, "ACG"));
}

TEST(KmerCounter, DoesNotTellStrandsApartWhenCanonical) {
  const std::string letters = testing::random_bases(500, 1);
  std::string other = letters;
  dna::reverse_complement(other.data(), other.data() + other.size());

  EXPECT_EQ(frequencies(5, true, letters), frequencies(5, true, other));
  EXPECT_NE(frequencies(5, false, letters), frequencies(5, false, other));
}

TEST(KmerBaseline, TellsTwoGenomesApartAndRepeatsItself) {
  const GenomeStore store = testing::two_class_store();
  const std::vector<std::vector<Region>> regions{{{0, 0, 4000}}, {{3, 0, 4000}}};
  const std::vector<std::vector<Region>> held_out{{{0, 4000, 5000}}, {{3, 4000, 5000}}};
  const std::vector<std::string> names{"poor", "rich"};
  const WindowSampler training(store, regions, names, {.min_length = 100, .max_length = 100, .seed = 2});
  const WindowTiling examples(store, held_out, names, {.length = 100});
  const auto run = [&] {
    KmerBaseline baseline({.k = 3, .examples = 640}, 2);
    baseline.train(training);
    return baseline.predict(examples);
  };

  const Predictions predictions = run();

  EXPECT_EQ(predictions.examples(), 20);
  EXPECT_GE(score(predictions).accuracy, 0.95);
  EXPECT_EQ(run().probabilities, predictions.probabilities);
}

}  // namespace
}  // namespace strandline
