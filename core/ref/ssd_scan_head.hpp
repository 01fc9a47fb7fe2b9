// One head of one sequence, in scan order: what the three reference forms of the scan share.
#pragma once

#include <cmath>
#include <vector>

#include "core/ref/element.hpp"
#include "core/ref/step_size_ref.hpp"

namespace strandline::ref {

template <class T>
struct ScanHead {
  ScanHead(const ops::SsdScanArgs& arguments, std::int64_t sequence_number, std::int64_t head_number)
      : args(arguments),
        sequence(sequence_number),
        head(head_number),
        group(head_number / (arguments.x_thp.size(1) / arguments.b_tgn.size(1))) {}

  const ops::SsdScanArgs& args;
  std::int64_t sequence;
  std::int64_t head;
  std::int64_t group;

  std::int64_t begin() const { return args.seq_begin[static_cast<std::size_t>(sequence)]; }
  std::int64_t end() const { return args.seq_begin[static_cast<std::size_t>(sequence) + 1]; }
  std::int64_t length() const { return end() - begin(); }
  std::int64_t width() const { return args.x_thp.size(2); }
  std::int64_t states() const { return args.b_tgn.size(2); }
  std::int64_t token(std::int64_t place) const { return token_at(begin(), end(), args.reverse, place); }

  T a() const { return -std::exp(at<T>(args.a_log_h, head)); }
  T d() const { return at_or<T>(T(0), args.d_h, head); }
  /// Rows of P, N and N elements; the last axis of every tensor is dense.
  const T* x(std::int64_t place) const { return &at<T>(args.x_thp, token(place), head, 0); }
  const T* b(std::int64_t place) const { return &at<T>(args.b_tgn, token(place), group, 0); }
  const T* c(std::int64_t place) const { return &at<T>(args.c_tgn, token(place), group, 0); }
  StepValue<T> step(std::int64_t place) const {
    return step_value<T>(args.step, at<T>(args.dt_th, token(place), head) + at_or<T>(T(0), args.dt_bias_h, head));
  }

  /// (P, N), row-major; zeros when there is no initial state.
  std::vector<T> initial_state() const {
    std::vector<T> state(static_cast<std::size_t>(width() * states()), T(0));
    if (args.initial_state_shpn) {
      for (std::int64_t p = 0; p < width(); ++p) {
        for (std::int64_t n = 0; n < states(); ++n) {
          state[static_cast<std::size_t>(p * states() + n)] = at<T>(args.initial_state_shpn, sequence, head, p, n);
        }
      }
    }
    return state;
  }

  void store(const std::vector<T>& state, const View& to_shpn) const {
    if (!to_shpn) return;
    for (std::int64_t p = 0; p < width(); ++p) {
      for (std::int64_t n = 0; n < states(); ++n) {
        at<T>(to_shpn, sequence, head, p, n) = state[static_cast<std::size_t>(p * states() + n)];
      }
    }
  }
};

/// Calls body(ScanHead) for every head of every sequence.
template <class T, class Body>
void for_each_head(const ops::SsdScanArgs& args, const Body& body) {
  const auto sequences = static_cast<std::int64_t>(args.seq_begin.size()) - 1;
  for (std::int64_t s = 0; s < sequences; ++s) {
    for (std::int64_t h = 0; h < args.x_thp.size(1); ++h) body(ScanHead<T>(args, s, h));
  }
}

}  // namespace strandline::ref
