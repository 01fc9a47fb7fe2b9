// One chunk of one head: what the chunked forms of the scan and of its gradient share.
#pragma once

#include <algorithm>
#include <vector>

#include "core/base/dtype.hpp"
#include "core/ref/ssd_scan_head.hpp"

namespace strandline::ref {

/// How the operands of products are held.
struct Exact {
  using Number = double;
  static double operand(double value) { return value; }
};

struct RoundedToBf16 {
  using Number = float;
  static float operand(float value) { return to_float(to_bf16(value)); }
};

/// Tokens [begin, end) of one head, their steps, and the sums of delta * a from the chunk's start, each including its
/// own token.
template <class T>
struct Chunk {
  std::int64_t begin;
  std::int64_t end;
  std::vector<T> deltas;
  std::vector<T> sums;

  T delta(std::int64_t place) const { return deltas[static_cast<std::size_t>(place - begin)]; }
  T sum(std::int64_t place) const { return sums[static_cast<std::size_t>(place - begin)]; }
};

template <class T>
Chunk<T> chunk_at(const ScanHead<T>& head, std::int64_t begin) {
  Chunk<T> chunk{begin, std::min(begin + head.args.chunk, head.length()), {}, {}};
  T sum = 0;
  for (std::int64_t t = chunk.begin; t < chunk.end; ++t) {
    chunk.deltas.push_back(head.step(t).delta);
    chunk.sums.push_back(sum += chunk.deltas.back() * head.a());
  }
  return chunk;
}

/// The state at the chunk's end from the one at its start.
template <class Form, class T = typename Form::Number>
void advance(const ScanHead<T>& head, const Chunk<T>& chunk, std::vector<T>& state) {
  const T total = chunk.sums.back();
  for (T& cell : state) cell *= std::exp(total);
  for (std::int64_t s = chunk.begin; s < chunk.end; ++s) {
    const T scale = std::exp(total - chunk.sum(s)) * chunk.delta(s);
    for (std::int64_t p = 0; p < head.width(); ++p) {
      for (std::int64_t n = 0; n < head.states(); ++n) {
        state[static_cast<std::size_t>(p * head.states() + n)] +=
            Form::operand(head.x(s)[p]) * Form::operand(scale * head.b(s)[n]);
      }
    }
  }
}

}  // namespace strandline::ref
