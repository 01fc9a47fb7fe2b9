#include "core/ref/ssd_scan_chunk.hpp"
#include "core/ref/ssd_scan_chunked_ref.hpp"

namespace strandline::ref {
namespace {

/// The gradients of one head, chunk by chunk from the last to the first.
template <class Form, class T = typename Form::Number>
class HeadGradient {
 public:
  HeadGradient(const ops::SsdScanBackwardArgs& args, const ScanHead<T>& head)
      : args_(args), head_(head), width_(head.width()), states_(head.states()) {}

  void run() {
    std::vector<std::vector<T>> starts{head_.initial_state()};
    for (std::int64_t begin = 0; begin < head_.length(); begin += head_.args.chunk) {
      starts.push_back(starts.back());
      advance<Form>(head_, chunk_at(head_, begin), starts.back());
    }
    starts.pop_back();  // nothing starts from the last one
    dstate_.assign(static_cast<std::size_t>(width_ * states_), T(0));
    if (args_.dfinal_state_shpn) {
      for_each_cell([&](std::int64_t p, std::int64_t n) {
        cell(dstate_, p, n) = at<T>(args_.dfinal_state_shpn, head_.sequence, head_.head, p, n);
      });
    }
    for (std::int64_t i = static_cast<std::int64_t>(starts.size()) - 1; i >= 0; --i) {
      start_ = std::move(starts[static_cast<std::size_t>(i)]);
      chunk_ = chunk_at(head_, i * head_.args.chunk);
      step_back();
    }
    head_.store(dstate_, args_.dinitial_state_shpn);
  }

 private:
  static T round(T value) { return Form::operand(value); }
  T& cell(std::vector<T>& state, std::int64_t p, std::int64_t n) const {
    return state[static_cast<std::size_t>(p * states_ + n)];
  }
  template <class Body>
  void for_each_cell(const Body& body) const {
    for (std::int64_t p = 0; p < width_; ++p) {
      for (std::int64_t n = 0; n < states_; ++n) body(p, n);
    }
  }
  T from_start(std::int64_t q) const { return std::exp(chunk_.sum(q)); }
  T to_end(std::int64_t s) const { return std::exp(chunk_.sums.back() - chunk_.sum(s)); }
  const T* dy(std::int64_t q) const { return &at<T>(args_.dy_thp, head_.token(q), head_.head, 0); }
  std::size_t index(std::int64_t place) const { return static_cast<std::size_t>(place - chunk_.begin); }

  void step_back() {
    const auto tokens = static_cast<std::size_t>(chunk_.end - chunk_.begin);
    u_.assign(tokens * static_cast<std::size_t>(width_), T(0));
    dlog_.assign(tokens, T(0));
    for (std::int64_t t = chunk_.begin; t < chunk_.end; ++t) {
      from_start_state(t);
      from_end_gradient(t);
      for (std::int64_t s = chunk_.begin; s <= t; ++s) from_pair(t, s);
    }
    T through = 0;
    for_each_cell([&](std::int64_t p, std::int64_t n) { through += cell(start_, p, n) * cell(dstate_, p, n); });
    through *= std::exp(chunk_.sums.back());
    for (std::int64_t t = chunk_.begin; t < chunk_.end; ++t) finish_token(t, through);
    const T total = std::exp(chunk_.sums.back());
    for (T& value : dstate_) value *= total;
    for (std::int64_t q = chunk_.begin; q < chunk_.end; ++q) {
      for_each_cell([&](std::int64_t p, std::int64_t n) {
        cell(dstate_, p, n) += round(from_start(q) * dy(q)[p]) * round(head_.c(q)[n]);
      });
    }
  }

  void from_start_state(std::int64_t q) {
    T passed = 0;
    for (std::int64_t n = 0; n < states_; ++n) {
      T sum = 0;
      for (std::int64_t p = 0; p < width_; ++p) sum += round(dy(q)[p]) * round(cell(start_, p, n));
      sum *= from_start(q);
      if (args_.dc_tgn) at<T>(args_.dc_tgn, head_.token(q), head_.group, n) += sum;
      passed += sum * head_.c(q)[n];
    }
    for (std::int64_t t = chunk_.begin; t <= q; ++t) dlog_[index(t)] += passed;
  }

  void from_end_gradient(std::int64_t s) {
    const T scale = to_end(s) * chunk_.delta(s);
    T passed = 0;
    for (std::int64_t n = 0; n < states_; ++n) {
      T sum = 0;
      for (std::int64_t p = 0; p < width_; ++p) sum += round(head_.x(s)[p]) * round(cell(dstate_, p, n));
      sum *= scale;
      if (args_.db_tgn) at<T>(args_.db_tgn, head_.token(s), head_.group, n) += sum;
      passed += sum * head_.b(s)[n];
    }
    for (std::int64_t t = s + 1; t < chunk_.end; ++t) dlog_[index(t)] += passed;
    for (std::int64_t p = 0; p < width_; ++p) {
      T sum = 0;
      for (std::int64_t n = 0; n < states_; ++n) sum += round(head_.b(s)[n]) * round(cell(dstate_, p, n));
      u(s, p) += to_end(s) * sum;
    }
  }

  void from_pair(std::int64_t q, std::int64_t s) {
    T score = 0;
    for (std::int64_t n = 0; n < states_; ++n) score += round(head_.c(q)[n]) * round(head_.b(s)[n]);
    T product = 0;
    for (std::int64_t p = 0; p < width_; ++p) product += round(dy(q)[p]) * round(head_.x(s)[p]);
    const T decay = std::exp(chunk_.sum(q) - chunk_.sum(s));
    const T dscore = decay * chunk_.delta(s) * product;
    for (std::int64_t p = 0; p < width_; ++p) u(s, p) += round(decay * score) * round(dy(q)[p]);
    for (std::int64_t n = 0; n < states_; ++n) {
      if (args_.dc_tgn) {
        at<T>(args_.dc_tgn, head_.token(q), head_.group, n) += round(dscore) * round(head_.b(s)[n]);
      }
      if (args_.db_tgn) {
        at<T>(args_.db_tgn, head_.token(s), head_.group, n) += round(dscore) * round(head_.c(q)[n]);
      }
    }
    for (std::int64_t t = s + 1; t <= q; ++t) dlog_[index(t)] += dscore * score;
  }

  void finish_token(std::int64_t t, T through) {
    const std::int64_t token = head_.token(t);
    const StepValue<T> step = head_.step(t);
    T ddelta = (dlog_[index(t)] + through) * head_.a();
    T dd = 0;
    for (std::int64_t p = 0; p < width_; ++p) {
      ddelta += head_.x(t)[p] * u(t, p);
      dd += dy(t)[p] * head_.x(t)[p];
      if (args_.dx_thp) at<T>(args_.dx_thp, token, head_.head, p) = step.delta * u(t, p) + head_.d() * dy(t)[p];
    }
    if (args_.ddt_th) at<T>(args_.ddt_th, token, head_.head) = ddelta * step.slope;
    if (args_.ddt_bias_h) at<T>(args_.ddt_bias_h, head_.head) += ddelta * step.slope;
    if (args_.da_log_h) at<T>(args_.da_log_h, head_.head) += (dlog_[index(t)] + through) * step.delta * head_.a();
    if (args_.dd_h) at<T>(args_.dd_h, head_.head) += dd;
  }

  T& u(std::int64_t s, std::int64_t p) {
    return u_[index(s) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(p)];
  }

  const ops::SsdScanBackwardArgs& args_;
  const ScanHead<T>& head_;
  std::int64_t width_;
  std::int64_t states_;
  Chunk<T> chunk_{};
  std::vector<T> start_;   // state at the chunk's start
  std::vector<T> dstate_;  // gradient of the state at its end, then at its start
  std::vector<T> u_;       // gradient of delta_s x_s
  std::vector<T> dlog_;    // gradient of delta_t a
};

template <class T>
void zero(const View& tensor_tgn) {
  if (!tensor_tgn) return;
  for (std::int64_t t = 0; t < tensor_tgn.size(0); ++t) {
    for (std::int64_t g = 0; g < tensor_tgn.size(1); ++g) {
      for (std::int64_t n = 0; n < tensor_tgn.size(2); ++n) at<T>(tensor_tgn, t, g, n) = T(0);
    }
  }
}

template <class Form, class T = typename Form::Number>
void scan_backward(const ops::SsdScanBackwardArgs& args) {
  zero<T>(args.db_tgn);
  zero<T>(args.dc_tgn);
  for_each_head<T>(args.forward, [&](const ScanHead<T>& head) { HeadGradient<Form>(args, head).run(); });
}

}  // namespace

void ssd_scan_chunked_backward(const ops::SsdScanBackwardArgs& args) { scan_backward<Exact>(args); }

void ssd_scan_chunked_backward_bf16(const ops::SsdScanBackwardArgs& args) { scan_backward<RoundedToBf16>(args); }

}  // namespace strandline::ref
