// Which stretches of the genomes train a model and which judge it. They never overlap.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/dna/genome_store.hpp"

namespace strandline {

/// [begin, end) of a contig of the store.
struct Region {
  std::int64_t contig = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t length() const { return end - begin; }
};

struct ClassRegions {
  std::vector<Region> training;
  std::vector<Region> held_out;
  std::string how;  ///< what was held out, in words, for the report
};

struct HoldoutRule {
  std::vector<std::int32_t> files{};           ///< hold out every contig of these files of the store
  std::vector<std::string> contig_patterns{};  ///< hold out contigs whose name matches; '*' and '?' as in a shell
  double fraction = 0.1;               ///< for classes that neither of the above touches; 0: hold out nothing there
  std::int64_t shortest_bases = 1024;  ///< shorter contigs are left out altogether
  std::int64_t window_bases = 1024;    ///< longest window; the gap where a contig is cut
  std::uint64_t seed = 0;
};

/// One entry per class. By fraction: whole contigs in a random order as long as they fit; what is then still missing
/// more than half of comes from the end of the longest remaining contig, with a gap of one window that nobody uses.
/// @throws DataError when a pattern matches no contig, when a class has no contig of shortest_bases, and when nothing
/// of a class would be left to train on or nothing would be held out (unless fraction is 0).
std::vector<ClassRegions> plan_holdout(const GenomeStore& store, const std::vector<std::string>& class_names,
                                       const HoldoutRule& rule);

/// '*' matches any letters, '?' one letter.
bool matches_pattern(std::string_view text, std::string_view pattern);

}  // namespace strandline
