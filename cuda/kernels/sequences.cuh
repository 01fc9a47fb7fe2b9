// Which sequence of the pack a token lies in, found on the device.
#pragma once

#include <cstdint>

#include "cuda/base/reduce.cuh"

namespace strandline::cuda {

/// begin[0 .. count]: ascending offsets into the pack; equal neighbours are empty sequences.
struct Sequences {
  const std::int64_t* begin = nullptr;
  std::int64_t count = 0;
};

/// The last s with offset(s) <= value, for an ascending `offset` with offset(0) <= value < offset(count). A whole warp
/// must call with the same arguments: it asks at 32 places at once, so that a million sequences take four steps.
///
/// Why it ends: the 32 places divide [low, high) into 33 parts of at most ceil(n / 33); for n <= 33 they are all of
/// low .. high - 1, and one step leaves a single place.
template <class Offset>
__device__ __forceinline__ std::int64_t last_not_above(const Offset& offset, std::int64_t count, std::int64_t value) {
  std::int64_t low = 0;
  std::int64_t high = count;
  while (high - low > 1) {
    const std::int64_t n = high - low;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const std::int64_t place = low + n * (lane + 1) / (kWarp + 1);
    const int below = __popc(__ballot_sync(0xffffffffU, offset(place) <= value));
    const std::int64_t next_low = below > 0 ? low + n * below / (kWarp + 1) : low;
    if (below < kWarp) high = low + n * (below + 1) / (kWarp + 1);
    low = next_low;
  }
  return low;
}

/// The sequence of `token`, 0 <= token < T. Not an empty one. A whole warp must call.
__device__ __forceinline__ std::int64_t sequence_of(const Sequences& sequences, std::int64_t token) {
  return last_not_above([&](std::int64_t s) { return sequences.begin[s]; }, sequences.count, token);
}

struct TokenSpan {
  std::int64_t begin, end;
};

/// Calls body(s, first token, one past the last) for each sequence's part of the tokens, in order. `s` is the sequence
/// of the first.
template <class Body>
__device__ __forceinline__ void for_each_part(const Sequences& sequences, std::int64_t s, const TokenSpan& tokens,
                                              const Body& body) {
  std::int64_t begin = tokens.begin;
  while (begin < tokens.end) {
    const std::int64_t sequence_end = sequences.begin[s + 1];
    if (begin < sequence_end) {
      const std::int64_t part_end = min(sequence_end, tokens.end);
      body(s, begin, part_end);
      begin = part_end;
    }
    ++s;
  }
}

}  // namespace strandline::cuda
