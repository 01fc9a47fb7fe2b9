#include "pipelines/dna/window_sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/run/random_order.hpp"
#include "tests/pipelines/genomes_for_tests.hpp"

namespace strandline {
namespace {

const std::vector<std::string> kNames{"poor", "rich"};

std::vector<std::vector<Region>> whole_contigs(const GenomeStore& store) {
  std::vector<std::vector<Region>> regions(2);
  for (std::size_t index = 0; index < store.contigs().size(); ++index) {
    const Contig& contig = store.contigs()[index];
    regions[static_cast<std::size_t>(contig.class_id)].push_back({static_cast<std::int64_t>(index), 0, contig.length});
  }
  return regions;
}

std::vector<std::int32_t> tokens(std::string_view letters) {
  std::vector<std::int32_t> ids(letters.size());
  dna::tokenize(letters, ids.data());
  return ids;
}

TEST(GenomeStore, GivesBackItsLettersFromAnyPlace) {
  std::string letters = testing::random_bases(1003, 7);
  letters.replace(0, 3, "NNn");
  letters.replace(500, 90, 90, 'R');  // any IUPAC code is unknown
  letters[1002] = 'N';
  GenomeStore store;
  store.add_contig("x", 0, letters);

  for (const auto& [begin, end] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {0, 1003}, {1, 2}, {3, 9}, {498, 505}, {585, 600}, {1001, 1003}, {7, 7}}) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(end - begin), -1);
    store.copy_ids(0, begin, end, ids.data());

    EXPECT_EQ(ids, tokens(std::string_view(letters).substr(static_cast<std::size_t>(begin), ids.size()))) << begin;
    EXPECT_EQ(store.unknown_bases(0, begin, end), std::ranges::count(ids, dna::kN)) << begin;
  }
}

TEST(GenomeStore, KnowsLowerCaseAndRefusesOtherLetters) {
  GenomeStore store;
  store.add_contig("x", 0, "acgt");
  std::vector<std::int32_t> ids(4);

  store.copy_ids(0, 0, 4, ids.data());

  EXPECT_EQ(ids, tokens("ACGT"));
  EXPECT_THROW(store.add_contig("y", 0, "ACGZ"), DataError);
}

TEST(WindowSampler, IsAPureFunctionOfSeedAndNumber) {
  const GenomeStore store = testing::two_class_store();
  const SamplerOptions options{.min_length = 100, .max_length = 300, .seed = 5};
  const WindowSampler forwards(store, whole_contigs(store), kNames, options);
  const WindowSampler backwards(store, whole_contigs(store), kNames, options);

  std::vector<Window> drawn;
  for (std::int64_t index = 0; index < 200; ++index) drawn.push_back(forwards.window(index));
  for (std::int64_t index = 199; index >= 0; --index)
    EXPECT_EQ(backwards.window(index), drawn[static_cast<std::size_t>(index)]);

  SamplerOptions other = options;
  other.seed = 6;
  EXPECT_NE(WindowSampler(store, whole_contigs(store), kNames, other).window(0), drawn[0]);
}

TEST(WindowSampler, StaysInsideItsRegionsAndBelowTheShareOfN) {
  const GenomeStore store = testing::two_class_store();
  std::vector<std::vector<Region>> regions{{{0, 1000, 2500}, {1, 0, 3000}}, {{3, 4000, 5000}}};
  const WindowSampler sampler(store, regions, kNames,
                              {.min_length = 50, .max_length = 400, .max_unknown_fraction = 0.25, .seed = 3});

  for (std::int64_t index = 0; index < 3000; ++index) {
    const Window window = sampler.window(index);
    const auto& of_class = regions[static_cast<std::size_t>(window.class_id)];

    EXPECT_TRUE(std::ranges::any_of(of_class, [&](const Region& region) {
      return region.contig == window.contig && region.begin <= window.begin &&
             window.begin + window.length <= region.end;
    }));
    EXPECT_LE(store.unknown_bases(window.contig, window.begin, window.begin + window.length), window.length / 4);
    EXPECT_TRUE(50 <= window.length && window.length <= 400);
  }
}

TEST(WindowSampler, DrawsClassesEvenlyContigsByLengthAndStrandsByACoin) {
  const GenomeStore store = testing::two_class_store();
  const WindowSampler sampler(store, whole_contigs(store), kNames, {.min_length = 100, .max_length = 100, .seed = 1});
  std::map<std::int64_t, int> by_contig;
  int first_class = 0;
  int reverse = 0;
  constexpr int kDraws = 20000;

  for (std::int64_t index = 0; index < kDraws; ++index) {
    const Window window = sampler.window(index);
    ++by_contig[window.contig];
    first_class += window.class_id == 0 ? 1 : 0;
    reverse += window.reverse ? 1 : 0;
  }

  // Five standard deviations of a fair coin over 20,000 draws are 354.
  EXPECT_NEAR(first_class, kDraws / 2, 354);
  EXPECT_NEAR(reverse, kDraws / 2, 354);
  // Class 1 has 4,901 + 2,901 + 801 starts.
  const double of_class = kDraws - first_class;
  EXPECT_NEAR(by_contig[3] / of_class, 4901.0 / 8603, 0.025);
  EXPECT_NEAR(by_contig[5] / of_class, 801.0 / 8603, 0.025);
}

TEST(WindowSampler, ReadsAReverseWindowAsItsReverseComplement) {
  GenomeStore store;
  store.add_contig("x", 0, "AACCGTN");
  std::vector<std::int32_t> ids;

  read_window(store, {0, 0, 1, 6, true}, ids);

  EXPECT_EQ(ids, tokens("NACGGT"));
}

TEST(WindowSampler, SaysWhichClassIsTooShortOrTooUnknown) {
  const GenomeStore store = testing::two_class_store();
  const auto make = [&](std::int64_t length) {
    WindowSampler(store, {{{2, 0, 900}}, {{3, 0, 5000}}}, kNames, {.min_length = length, .max_length = length});
  };

  EXPECT_NO_THROW(make(900));
  EXPECT_THROW(make(901), DataError);

  GenomeStore unknown;
  unknown.add_contig("n", 0, std::string(500, 'N'));
  EXPECT_THROW(WindowSampler(unknown, {{{0, 0, 500}}}, {"n"}, {.min_length = 100, .max_length = 100}), DataError);
}

std::set<std::pair<std::int64_t, std::int64_t>> bases_of(const WindowTiling& tiling) {
  std::set<std::pair<std::int64_t, std::int64_t>> bases;
  for (const Window& window : tiling.windows()) {
    for (std::int64_t base = window.begin; base < window.begin + window.length; ++base) {
      EXPECT_TRUE(bases.emplace(window.contig, base).second) << "two windows share base " << base;
    }
  }
  return bases;
}

TEST(WindowTiling, SharesNoBaseBetweenWindowsNorWithTheTilesSetApart) {
  const GenomeStore store = testing::two_class_store();
  const auto tiling = [&](bool apart) {
    return WindowTiling(store, whole_contigs(store), kNames,
                        {.length = 100, .windows_per_class = 30, .set_apart = 20, .give_set_apart = apart, .seed = 2});
  };

  const auto judging = bases_of(tiling(false));
  const auto choosing = bases_of(tiling(true));

  EXPECT_EQ(judging.size(), 2U * 30 * 100);
  EXPECT_EQ(choosing.size(), 2U * 20 * 100);
  for (const auto& base : choosing) EXPECT_FALSE(judging.contains(base));
}

TEST(WindowTiling, SetsApartAtMostAThird) {
  const GenomeStore store = testing::two_class_store();
  const std::vector<std::vector<Region>> regions{{{0, 0, 600}}, {{3, 0, 600}}};

  const WindowTiling apart(store, regions, kNames,
                           {.length = 100, .windows_per_class = 30, .set_apart = 20, .give_set_apart = true});

  EXPECT_EQ(apart.size(), 2 * 2);
  EXPECT_THROW(WindowTiling(store, regions, kNames, {.length = 601}), DataError);
}

TEST(RandomOrder, IsOneToOneForEverySize) {
  for (const std::int64_t size : {1, 2, 3, 7, 64, 65, 1000}) {
    std::set<std::int64_t> seen;
    for (std::int64_t position = 0; position < size; ++position) {
      const std::int64_t element = permuted(9, 4, size, position);
      EXPECT_TRUE(0 <= element && element < size);
      seen.insert(element);
    }
    EXPECT_EQ(std::ssize(seen), size);
  }
}

TEST(RandomOrder, DiffersBetweenEpochsAndSeeds) {
  int same_epoch = 0;
  int same_seed = 0;
  for (std::int64_t position = 0; position < 1000; ++position) {
    same_epoch += permuted(1, 0, 1000, position) == permuted(1, 1, 1000, position) ? 1 : 0;
    same_seed += permuted(1, 0, 1000, position) == permuted(2, 0, 1000, position) ? 1 : 0;
  }
  // One fixed point is expected of two random permutations.
  EXPECT_LT(same_epoch, 8);
  EXPECT_LT(same_seed, 8);
}

TEST(RandomOrder, GivesEveryUseItsOwnSeed) {
  EXPECT_NE(seed_for(1, RandomUse::dropout), seed_for(1, RandomUse::bootstrap));
  EXPECT_NE(seed_for(1, RandomUse::dropout), seed_for(2, RandomUse::dropout));
}

}  // namespace
}  // namespace strandline
