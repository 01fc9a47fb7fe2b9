#include "core/ref/ssd_scan_ref.hpp"

#include <algorithm>

#include "core/ref/ssd_scan_head.hpp"

namespace strandline::ref {
namespace {

/// state <- decay * state + delta * x (outer) b, for the token at `place`.
template <class T>
void advance(const ScanHead<T>& head, std::int64_t place, T* state) {
  const T delta = head.step(place).delta;
  const T decay = std::exp(delta * head.a());
  const T* x = head.x(place);
  const T* b = head.b(place);
  for (std::int64_t p = 0; p < head.width(); ++p) {
    const T dx = delta * x[p];
    for (std::int64_t n = 0; n < head.states(); ++n, ++state) *state = decay * *state + dx * b[n];
  }
}

template <class T>
void zero(const View& view) {
  if (!view) return;
  // Outputs may have strided rows: element by element, never as one block.
  for (std::int64_t i = 0; i < view.size(0); ++i) {
    for (std::int64_t j = 0; j < view.size(1); ++j) {
      for (std::int64_t k = 0; k < view.size(2); ++k) at<T>(view, i, j, k) = T(0);
    }
  }
}

/// The reverse recurrence of one head. `dstate` is the gradient of the state after the current token, (P, N).
template <class T>
class HeadBackward {
 public:
  HeadBackward(const ops::SsdScanBackwardArgs& args, const ScanHead<T>& head)
      : args_(args), head_(head), cells_(head.width() * head.states()) {}

  void run() {
    record_states();
    dstate_.assign(static_cast<std::size_t>(cells_), T(0));
    if (args_.dfinal_state_shpn) {
      for (std::int64_t p = 0; p < head_.width(); ++p) {
        for (std::int64_t n = 0; n < head_.states(); ++n) {
          dstate_[static_cast<std::size_t>(p * head_.states() + n)] =
              at<T>(args_.dfinal_state_shpn, head_.sequence, head_.head, p, n);
        }
      }
    }
    for (std::int64_t place = head_.length() - 1; place >= 0; --place) step_back(place);
    head_.store(dstate_, args_.dinitial_state_shpn);
  }

 private:
  void record_states() {
    states_ = head_.initial_state();
    states_.resize(static_cast<std::size_t>((head_.length() + 1) * cells_));
    for (std::int64_t place = 0; place < head_.length(); ++place) {
      std::copy_n(state_before(place), cells_, state_before(place + 1));
      advance(head_, place, state_before(place + 1));
    }
  }

  T* state_before(std::int64_t place) { return states_.data() + place * cells_; }

  void step_back(std::int64_t place) {
    const std::int64_t token = head_.token(place);
    const std::int64_t h = head_.head;
    const auto step = head_.step(place);
    const T decay = std::exp(step.delta * head_.a());
    const T* x = head_.x(place);
    const T* b = head_.b(place);
    const T* c = head_.c(place);
    T* db = args_.db_tgn ? &at<T>(args_.db_tgn, token, head_.group, 0) : nullptr;
    T* dc = args_.dc_tgn ? &at<T>(args_.dc_tgn, token, head_.group, 0) : nullptr;
    T ddecay = T(0);
    T ddelta = T(0);
    T dd = T(0);
    for (std::int64_t p = 0; p < head_.width(); ++p) {
      const T dy = at<T>(args_.dy_thp, token, h, p);
      const T* before = state_before(place) + p * head_.states();
      const T* after = state_before(place + 1) + p * head_.states();
      T* dstate = dstate_.data() + p * head_.states();
      T dstate_b = T(0);
      for (std::int64_t n = 0; n < head_.states(); ++n) {
        if (dc) dc[n] += dy * after[n];
        dstate[n] += dy * c[n];
        if (db) db[n] += step.delta * x[p] * dstate[n];
        dstate_b += dstate[n] * b[n];
        ddecay += dstate[n] * before[n];
        dstate[n] *= decay;
      }
      ddelta += x[p] * dstate_b;
      dd += dy * x[p];
      if (args_.dx_thp) at<T>(args_.dx_thp, token, h, p) = step.delta * dstate_b + head_.d() * dy;
    }
    ddelta += ddecay * decay * head_.a();
    if (args_.ddt_th) at<T>(args_.ddt_th, token, h) = ddelta * step.slope;
    if (args_.ddt_bias_h) at<T>(args_.ddt_bias_h, h) += ddelta * step.slope;
    // a = -exp(a_log), so d a / d a_log = a.
    if (args_.da_log_h) at<T>(args_.da_log_h, h) += ddecay * decay * step.delta * head_.a();
    if (args_.dd_h) at<T>(args_.dd_h, h) += dd;
  }

  const ops::SsdScanBackwardArgs& args_;
  const ScanHead<T>& head_;
  std::int64_t cells_;
  std::vector<T> states_;
  std::vector<T> dstate_;
};

}  // namespace

template <class T>
void ssd_scan(const ops::SsdScanArgs& args) {
  for_each_head<T>(args, [&](const ScanHead<T>& head) {
    std::vector<T> state = head.initial_state();
    for (std::int64_t place = 0; place < head.length(); ++place) {
      advance(head, place, state.data());
      const T* x = head.x(place);
      const T* c = head.c(place);
      const T* row = state.data();
      for (std::int64_t p = 0; p < head.width(); ++p, row += head.states()) {
        T y = head.d() * x[p];
        for (std::int64_t n = 0; n < head.states(); ++n) y += row[n] * c[n];
        at<T>(args.y_thp, head.token(place), head.head, p) = y;
      }
    }
    head.store(state, args.final_state_shpn);
  });
}

template <class T>
void ssd_scan_backward(const ops::SsdScanBackwardArgs& args) {
  zero<T>(args.db_tgn);
  zero<T>(args.dc_tgn);
  for_each_head<T>(args.forward, [&](const ScanHead<T>& head) { HeadBackward<T>(args, head).run(); });
}

template void ssd_scan<double>(const ops::SsdScanArgs&);
template void ssd_scan<float>(const ops::SsdScanArgs&);
template void ssd_scan_backward<double>(const ops::SsdScanBackwardArgs&);
template void ssd_scan_backward<float>(const ops::SsdScanBackwardArgs&);

}  // namespace strandline::ref
