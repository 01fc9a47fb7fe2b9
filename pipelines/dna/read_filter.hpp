// Which records are worth a label.
#pragma once

#include <cstdint>
#include <string>

namespace strandline {

/// How long a record is, and how many of its bases are A, C, G or T.
struct BaseCounts {
  std::int64_t length = 0;
  std::int64_t known = 0;

  /// Share of bases that are not A, C, G or T; 0 for an empty record.
  double n_fraction() const {
    return length == 0 ? 0.0 : static_cast<double>(length - known) / static_cast<double>(length);
  }
};

struct ReadFilter {
  std::int64_t min_length = 1;
  double max_n_fraction = 1.0;
};

/// Why a record gets no label, in words for the table; empty when it gets one.
std::string reason_to_skip(const ReadFilter& filter, const BaseCounts& counts);

}  // namespace strandline
