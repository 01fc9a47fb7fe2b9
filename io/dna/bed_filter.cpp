#include "io/dna/bed_filter.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/base/error.hpp"
#include "io/bytes/byte_source.hpp"
#include "io/dna/text_cursor.hpp"

namespace strandline {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;
constexpr std::string_view kBlanks = " \t";

// Cuts the first word off `line`.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

std::int64_t parse_position(std::string_view word, const FileLocation& place, const char* field) {
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error == std::errc{} && end == word.data() + word.size() && value >= 0) return value;
  throw DataError(place,
                  std::string("the ") + field + " of a region is '" + std::string(word) + "', expected a number from 0",
                  "A line of BED is contig, begin and end, separated by tabs");
}

bool is_comment(std::string_view line) {
  return line.find_first_not_of(kBlanks) == std::string_view::npos || line.starts_with('#') ||
         line.starts_with("track") || line.starts_with("browser");
}

void sort_and_merge(std::vector<std::pair<std::int64_t, std::int64_t>>& ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::size_t kept = 0;
  for (const auto& range : ranges) {
    if (kept > 0 && range.first <= ranges[kept - 1].second) {
      ranges[kept - 1].second = std::max(ranges[kept - 1].second, range.second);
    } else {
      ranges[kept++] = range;
    }
  }
  ranges.resize(kept);
}

}  // namespace

BedFilter::BedFilter(const std::string& path) {
  TextCursor cursor(open_bytes(path));
  std::string_view line;
  while (true) {
    const FileLocation place = cursor.here();
    if (!cursor.next_line(line, kMaxLineBytes)) break;
    if (is_comment(line)) continue;
    const std::string contig(take_word(line));
    const std::int64_t begin = parse_position(take_word(line), place, "begin");
    const std::int64_t end = parse_position(take_word(line), place, "end");
    if (end < begin)
      throw DataError(place, "a region ends before it begins", "BED counts from 0 and leaves the end out");
    if (end > begin) ranges_[contig].emplace_back(begin, end);
  }
  if (ranges_.empty())
    throw DataError({path}, "there is no region in it", "A line of BED is contig, begin and end, separated by tabs");
  for (auto& [contig, ranges] : ranges_) sort_and_merge(ranges);
}

bool BedFilter::overlaps(const std::string& contig, std::int64_t begin, std::int64_t end) const {
  const auto found = ranges_.find(contig);
  if (found == ranges_.end()) return false;
  const Ranges& ranges = found->second;
  // The first range that ends behind `begin`; ranges are disjoint, so their ends are sorted too.
  const auto range =
      std::partition_point(ranges.begin(), ranges.end(), [begin](const auto& r) { return r.second <= begin; });
  return range != ranges.end() && range->first < end;
}

std::vector<std::string> BedFilter::contigs() const {
  std::vector<std::string> names;
  for (const auto& [contig, ranges] : ranges_) names.push_back(contig);
  return names;
}

}  // namespace strandline
