// The regions of a BED file, to ask whether an alignment touches one. Private to io.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace strandline {

/// Ranges are 0-based and half-open, as in BED; they are kept sorted and merged, so a question costs log(ranges of the
/// contig).
class BedFilter {
 public:
  /// Reads a BED file (plain, gzip or BGZF): contig, begin, end, separated by tabs or blanks; '#', "track" and
  /// "browser" lines are skipped.
  /// @throws DataError naming file, line and field; IoError.
  explicit BedFilter(const std::string& path);

  /// True when [begin, end) of the contig shares a base with a region.
  bool overlaps(const std::string& contig, std::int64_t begin, std::int64_t end) const;
  std::vector<std::string> contigs() const;

 private:
  using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

  std::map<std::string, Ranges> ranges_;
};

}  // namespace strandline
