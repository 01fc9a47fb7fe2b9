#include "core/model/segments.hpp"

#include <algorithm>

#include "core/base/checked.hpp"

namespace strandline {

SegmentPlan::SegmentPlan(std::span<const std::int64_t> seq_begin, std::int64_t max_tokens, std::int64_t chunk)
    : piece_tokens_(std::max(chunk, max_tokens / chunk * chunk)) {
  const std::size_t sequences = seq_begin.size() - 1;
  offsets_.reserve(2 * seq_begin.size());  // at most one extra offset per segment: the spans below stay valid
  std::size_t first = 0;
  while (first < sequences) {
    const std::int64_t origin = seq_begin[first];
    std::size_t last = first + 1;  // a sequence that is too long still makes a segment of its own
    while (last < sequences && seq_begin[last + 1] - origin <= piece_tokens_) ++last;
    const std::size_t from = offsets_.size();
    for (std::size_t s = first; s <= last; ++s) offsets_.push_back(seq_begin[s] - origin);
    segments_.push_back({.tokens = {origin, seq_begin[last]},
                         .seq_begin = std::span(offsets_).subspan(from),
                         .in_pieces = seq_begin[last] - origin > piece_tokens_});
    first = last;
  }
}

bool SegmentPlan::has_pieces() const {
  return std::any_of(segments_.begin(), segments_.end(), [](const Segment& segment) { return segment.in_pieces; });
}

std::int64_t count_pieces(std::int64_t tokens, std::int64_t piece_tokens) { return ceil_div(tokens, piece_tokens); }

TokenRange piece_at(std::int64_t index, std::int64_t tokens, std::int64_t piece_tokens, bool reverse) {
  const std::int64_t begin = index * piece_tokens;
  const std::int64_t end = std::min(begin + piece_tokens, tokens);
  return reverse ? TokenRange{tokens - end, tokens - begin} : TokenRange{begin, end};
}

}  // namespace strandline
