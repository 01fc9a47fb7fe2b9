// How a pack goes through a layer in parts, so that only the residual stream is as long as the pack.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strandline {

/// Half-open range of tokens.
struct TokenRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const TokenRange&) const = default;
};

/// Either a run of whole sequences that fits in a segment, or one sequence that is too long and goes through in pieces.
struct Segment {
  TokenRange tokens;                        ///< in the pack
  std::span<const std::int64_t> seq_begin;  ///< offsets relative to tokens.begin, first 0, last tokens.size()
  bool in_pieces = false;                   ///< one sequence, longer than the segment limit
};

/// Covers the pack in order. Immutable; the segments' spans point into the plan, so it moves but does not copy.
class SegmentPlan {
 public:
  /// `max_tokens` is rounded down to a multiple of `chunk`, and up to one chunk.
  SegmentPlan(std::span<const std::int64_t> seq_begin, std::int64_t max_tokens, std::int64_t chunk);
  SegmentPlan(SegmentPlan&&) = default;
  SegmentPlan& operator=(SegmentPlan&&) = default;

  std::span<const Segment> segments() const { return segments_; }
  bool has_pieces() const;
  /// Tokens of a full piece, a multiple of the chunk.
  std::int64_t piece_tokens() const { return piece_tokens_; }

 private:
  std::int64_t piece_tokens_;
  std::vector<std::int64_t> offsets_;
  std::vector<Segment> segments_;
};

std::int64_t count_pieces(std::int64_t tokens, std::int64_t piece_tokens);

/// Piece number `index` in scan order of a sequence of `tokens` tokens. All but the last have piece_tokens: counted
/// from the sequence's start, or from its end when `reverse`, so that every cut is a whole number of chunks in scan
/// order.
TokenRange piece_at(std::int64_t index, std::int64_t tokens, std::int64_t piece_tokens, bool reverse);

}  // namespace strandline
