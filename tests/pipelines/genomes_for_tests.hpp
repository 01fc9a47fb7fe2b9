// Made-up genomes whose letters follow from a seed.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/philox.hpp"
#include "pipelines/dna/genome_store.hpp"

namespace strandline::testing {

/// `gc`: share of G and C.
inline std::string random_bases(std::int64_t length, std::uint64_t seed, double gc = 0.5) {
  RandomStream random(seed, 0);
  std::string bases;
  for (std::int64_t index = 0; index < length; ++index) {
    const bool strong = random.uniform() < gc;
    const bool first = (random.next_u64() & 1U) != 0;
    bases += strong ? (first ? 'G' : 'C') : (first ? 'A' : 'T');
  }
  return bases;
}

/// Two classes, three contigs each (5,000, 3,000 and 900 bases); contig c0_b has a run of N at [1000, 1400).
inline GenomeStore two_class_store() {
  GenomeStore store;
  for (std::int32_t class_id = 0; class_id < 2; ++class_id) {
    const std::string prefix = class_id == 0 ? "c0_" : "c1_";
    const std::uint64_t seed = 10 * static_cast<std::uint64_t>(class_id);
    const double gc = class_id == 0 ? 0.3 : 0.7;
    store.add_contig(prefix + "a", class_id, random_bases(5000, seed, gc));
    std::string with_gap = random_bases(3000, seed + 1, gc);
    if (class_id == 0) with_gap.replace(1000, 400, 400, 'N');
    store.add_contig(prefix + "b", class_id, with_gap);
    store.add_contig(prefix + "c", class_id, random_bases(900, seed + 2, gc));
  }
  return store;
}

}  // namespace strandline::testing
