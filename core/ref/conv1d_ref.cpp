#include "core/ref/conv1d_ref.hpp"

#include <cmath>
#include <vector>

#include "core/ref/element.hpp"
#include "core/ref/sigmoid.hpp"

namespace strandline::ref {
namespace {

/// One sequence, seen in scan order: place 0 is the first token scanned; places -(K-1) .. -1 are the initial state.
struct Sequence {
  std::int64_t number;
  std::int64_t begin;
  std::int64_t end;
  bool reverse;

  std::int64_t length() const { return end - begin; }
  std::int64_t token(std::int64_t place) const { return token_at(begin, end, reverse, place); }
};

template <class Args>
Sequence sequence_of(const Args& args, std::int64_t s) {
  const auto index = static_cast<std::size_t>(s);
  return {s, args.seq_begin[index], args.seq_begin[index + 1], args.reverse};
}

template <class T, class Args>
T input(const Args& args, const Sequence& sequence, std::int64_t place, std::int64_t c) {
  if (place >= 0) return at<T>(args.x_tc, sequence.token(place), c);
  const std::int64_t before = args.weight_ck.size(1) - 1;
  return at_or<T>(T(0), args.initial_state_skc, sequence.number, place + before, c);
}

template <class T, class Args>
T convolution(const Args& args, const Sequence& sequence, std::int64_t place, std::int64_t c) {
  const std::int64_t taps = args.weight_ck.size(1);
  T u = at_or<T>(T(0), args.bias_c, c);
  for (std::int64_t k = 0; k < taps; ++k) {
    u += at<T>(args.weight_ck, c, k) * input<T>(args, sequence, place - (taps - 1) + k, c);
  }
  return u;
}

/// One channel of one sequence. `dinput` holds the gradient of places -(K-1) .. length-1.
template <class T>
void backward_channel(const ops::Conv1dBackwardArgs& args, const Sequence& sequence, std::int64_t c) {
  const std::int64_t taps = args.weight_ck.size(1);
  const std::int64_t before = taps - 1;
  std::vector<T> dinput(static_cast<std::size_t>(before + sequence.length()), T(0));
  const auto gradient_at = [&](std::int64_t place) -> T& { return dinput[static_cast<std::size_t>(place + before)]; };

  if (args.dfinal_state_skc) {
    for (std::int64_t j = 0; j < before; ++j) {
      gradient_at(sequence.length() - before + j) += at<T>(args.dfinal_state_skc, sequence.number, j, c);
    }
  }
  for (std::int64_t i = 0; i < sequence.length(); ++i) {
    T du = at<T>(args.dy_tc, sequence.token(i), c);
    if (args.silu) {
      const T u = convolution<T>(args, sequence, i, c);
      const T s = sigmoid(u);
      du *= s * (T(1) + u * (T(1) - s));
    }
    for (std::int64_t k = 0; k < taps; ++k) {
      const std::int64_t place = i - before + k;
      gradient_at(place) += du * at<T>(args.weight_ck, c, k);
      if (args.dweight_ck) at<T>(args.dweight_ck, c, k) += du * input<T>(args, sequence, place, c);
    }
    if (args.dbias_c) at<T>(args.dbias_c, c) += du;
  }
  if (args.dx_tc) {
    for (std::int64_t i = 0; i < sequence.length(); ++i) at<T>(args.dx_tc, sequence.token(i), c) = gradient_at(i);
  }
  if (args.dinitial_state_skc) {
    for (std::int64_t j = 0; j < before; ++j) {
      at<T>(args.dinitial_state_skc, sequence.number, j, c) = gradient_at(j - before);
    }
  }
}

template <class Args>
std::int64_t sequences_of(const Args& args) {
  return static_cast<std::int64_t>(args.seq_begin.size()) - 1;
}

}  // namespace

template <class T>
void conv1d(const ops::Conv1dArgs& args) {
  const std::int64_t channels = args.weight_ck.size(0);
  const std::int64_t before = args.weight_ck.size(1) - 1;
  for (std::int64_t s = 0; s < sequences_of(args); ++s) {
    const Sequence sequence = sequence_of(args, s);
    for (std::int64_t i = 0; i < sequence.length(); ++i) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const T u = convolution<T>(args, sequence, i, c);
        at<T>(args.y_tc, sequence.token(i), c) = args.silu ? u * sigmoid(u) : u;
      }
    }
    if (!args.final_state_skc) continue;
    for (std::int64_t j = 0; j < before; ++j) {
      for (std::int64_t c = 0; c < channels; ++c) {
        at<T>(args.final_state_skc, s, j, c) = input<T>(args, sequence, sequence.length() - before + j, c);
      }
    }
  }
}

template <class T>
void conv1d_backward(const ops::Conv1dBackwardArgs& args) {
  for (std::int64_t s = 0; s < sequences_of(args); ++s) {
    const Sequence sequence = sequence_of(args, s);
    for (std::int64_t c = 0; c < args.weight_ck.size(0); ++c) backward_channel<T>(args, sequence, c);
  }
}

template void conv1d<double>(const ops::Conv1dArgs&);
template void conv1d<float>(const ops::Conv1dArgs&);
template void conv1d_backward<double>(const ops::Conv1dBackwardArgs&);
template void conv1d_backward<float>(const ops::Conv1dBackwardArgs&);

}  // namespace strandline::ref
