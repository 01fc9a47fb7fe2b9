#include "pipelines/dna/read_filter.hpp"

#include <fmt/format.h>

namespace strandline {

std::string reason_to_skip(const ReadFilter& filter, const BaseCounts& counts) {
  if (counts.length == 0) return "empty";
  if (counts.length < filter.min_length) return fmt::format("shorter than {}", filter.min_length);
  if (counts.known == 0) return "no base but N";
  if (counts.n_fraction() > filter.max_n_fraction) return fmt::format("n_fraction above {}", filter.max_n_fraction);
  return {};
}

}  // namespace strandline
