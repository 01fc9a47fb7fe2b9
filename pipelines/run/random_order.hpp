// Random choices of a run, each from its own stream, and orders without state.
#pragma once

#include <cstdint>

namespace strandline {

/// One name per use of random numbers in a run, so that no two uses share draws. The values are part of the file
/// formats: changing one changes every resumed run.
enum class RandomUse : std::uint64_t {
  initialisation = 1,
  dropout = 2,
  training_windows = 3,
  validation_windows = 4,
  holdout = 5,
  row_order = 6,
  row_crop = 7,
  bootstrap = 8,
  baseline_order = 9,
  held_out_strand = 10,
  folds = 11,
};

/// Seed of one use, from the seed of the run.
std::uint64_t seed_for(std::uint64_t run_seed, RandomUse use);

/// A permutation of [0, size) that is never written down: position -> element, one-to-one for every (seed, epoch).
/// A balanced Feistel network on the next even power of two, walked until it lands inside (fewer than four tries on
/// average). Source: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, section 3 (cycle
/// walking).
std::int64_t permuted(std::uint64_t seed, std::int64_t epoch, std::int64_t size, std::int64_t position);

}  // namespace strandline
