#include "core/ref/ssd_scan_chunked_ref.hpp"

#include <algorithm>

#include "core/ref/ssd_scan_head.hpp"

namespace strandline::ref {
namespace {

using Head = ScanHead<double>;

/// Tokens [begin, end) of one head and the sums of delta * a from the chunk's start, each including its own token.
struct Chunk {
  std::int64_t begin;
  std::int64_t end;
  std::vector<double> sums;

  double sum(std::int64_t place) const { return sums[static_cast<std::size_t>(place - begin)]; }
};

Chunk chunk_at(const Head& head, std::int64_t begin) {
  Chunk chunk{begin, std::min(begin + head.args.chunk, head.length()), {}};
  double sum = 0.0;
  for (std::int64_t t = chunk.begin; t < chunk.end; ++t) chunk.sums.push_back(sum += head.step(t).delta * head.a());
  return chunk;
}

/// Rows of the chunk: what the tokens before it left (through the state at its start), then the pairs inside it.
void outputs(const Head& head, const Chunk& chunk, const std::vector<double>& state) {
  for (std::int64_t t = chunk.begin; t < chunk.end; ++t) {
    std::vector<double> y(static_cast<std::size_t>(head.width()), 0.0);
    for (std::int64_t p = 0; p < head.width(); ++p) {
      double from_state = 0.0;
      for (std::int64_t n = 0; n < head.states(); ++n) {
        from_state += head.c(t)[n] * state[static_cast<std::size_t>(p * head.states() + n)];
      }
      y[static_cast<std::size_t>(p)] = std::exp(chunk.sum(t)) * from_state + head.d() * head.x(t)[p];
    }
    for (std::int64_t s = chunk.begin; s <= t; ++s) {
      double score = 0.0;
      for (std::int64_t n = 0; n < head.states(); ++n) score += head.c(t)[n] * head.b(s)[n];
      score *= std::exp(chunk.sum(t) - chunk.sum(s)) * head.step(s).delta;
      for (std::int64_t p = 0; p < head.width(); ++p) y[static_cast<std::size_t>(p)] += score * head.x(s)[p];
    }
    for (std::int64_t p = 0; p < head.width(); ++p) {
      at<double>(head.args.y_thp, head.token(t), head.head, p) = y[static_cast<std::size_t>(p)];
    }
  }
}

/// The state at the chunk's end from the one at its start.
void advance(const Head& head, const Chunk& chunk, std::vector<double>& state) {
  const double total = chunk.sums.back();
  for (double& cell : state) cell *= std::exp(total);
  for (std::int64_t s = chunk.begin; s < chunk.end; ++s) {
    const double scale = std::exp(total - chunk.sum(s)) * head.step(s).delta;
    for (std::int64_t p = 0; p < head.width(); ++p) {
      for (std::int64_t n = 0; n < head.states(); ++n) {
        state[static_cast<std::size_t>(p * head.states() + n)] += scale * head.x(s)[p] * head.b(s)[n];
      }
    }
  }
}

}  // namespace

void ssd_scan_chunked(const ops::SsdScanArgs& args) {
  for_each_head<double>(args, [](const Head& head) {
    std::vector<double> state = head.initial_state();
    for (std::int64_t begin = 0; begin < head.length(); begin += head.args.chunk) {
      const Chunk chunk = chunk_at(head, begin);
      outputs(head, chunk, state);
      advance(head, chunk, state);
    }
    head.store(state, head.args.final_state_shpn);
  });
}

}  // namespace strandline::ref
