#include "core/ref/ssd_scan_chunked_ref.hpp"

#include "core/ref/ssd_scan_chunk.hpp"

namespace strandline::ref {
namespace {

/// Rows of the chunk: what the tokens before it left (through the state at its start), then the pairs inside it.
template <class Form, class T = typename Form::Number>
void outputs(const ScanHead<T>& head, const Chunk<T>& chunk, const std::vector<T>& state) {
  for (std::int64_t t = chunk.begin; t < chunk.end; ++t) {
    std::vector<T> y(static_cast<std::size_t>(head.width()), T(0));
    for (std::int64_t p = 0; p < head.width(); ++p) {
      T from_state = 0;
      for (std::int64_t n = 0; n < head.states(); ++n) {
        from_state +=
            Form::operand(head.c(t)[n]) * Form::operand(state[static_cast<std::size_t>(p * head.states() + n)]);
      }
      y[static_cast<std::size_t>(p)] = std::exp(chunk.sum(t)) * from_state + head.d() * head.x(t)[p];
    }
    for (std::int64_t s = chunk.begin; s <= t; ++s) {
      T score = 0;
      for (std::int64_t n = 0; n < head.states(); ++n)
        score += Form::operand(head.c(t)[n]) * Form::operand(head.b(s)[n]);
      score = Form::operand(score * std::exp(chunk.sum(t) - chunk.sum(s)) * chunk.delta(s));
      for (std::int64_t p = 0; p < head.width(); ++p) {
        y[static_cast<std::size_t>(p)] += score * Form::operand(head.x(s)[p]);
      }
    }
    for (std::int64_t p = 0; p < head.width(); ++p) {
      at<T>(head.args.y_thp, head.token(t), head.head, p) = y[static_cast<std::size_t>(p)];
    }
  }
}

template <class Form, class T = typename Form::Number>
void scan(const ops::SsdScanArgs& args) {
  for_each_head<T>(args, [](const ScanHead<T>& head) {
    std::vector<T> state = head.initial_state();
    for (std::int64_t begin = 0; begin < head.length(); begin += head.args.chunk) {
      const Chunk<T> chunk = chunk_at(head, begin);
      outputs<Form>(head, chunk, state);
      advance<Form>(head, chunk, state);
    }
    head.store(state, head.args.final_state_shpn);
  });
}

}  // namespace

void ssd_scan_chunked(const ops::SsdScanArgs& args) { scan<Exact>(args); }

void ssd_scan_chunked_bf16(const ops::SsdScanArgs& args) { scan<RoundedToBf16>(args); }

}  // namespace strandline::ref
