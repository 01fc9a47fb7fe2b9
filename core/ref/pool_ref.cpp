#include "core/ref/pool_ref.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ref/element.hpp"

namespace strandline::ref {
namespace {

/// Calls body(s, begin, end) for every sequence that has tokens.
template <class Body>
void for_each_sequence(std::span<const std::int64_t> seq_begin, const Body& body) {
  for (std::size_t s = 0; s + 1 < seq_begin.size(); ++s) {
    if (seq_begin[s] < seq_begin[s + 1]) body(static_cast<std::int64_t>(s), seq_begin[s], seq_begin[s + 1]);
  }
}

template <class T>
void fill_zeros(const View& view) {
  for (std::int64_t row = 0; row < view.size(0); ++row) {
    for (std::int64_t d = 0; d < view.size(1); ++d) at<T>(view, row, d) = T(0);
  }
}

/// Of equal values the first; a NaN counts as the largest.
template <class T>
std::int64_t largest(const ConstView& x_td, std::int64_t begin, std::int64_t end, std::int64_t d) {
  std::int64_t best = begin;
  for (std::int64_t t = begin + 1; t < end; ++t) {
    const T value = at<T>(x_td, t, d);
    if (value > at<T>(x_td, best, d) || (std::isnan(value) && !std::isnan(at<T>(x_td, best, d)))) best = t;
  }
  return best;
}

template <class T>
T mean(const ConstView& x_td, std::int64_t begin, std::int64_t end, std::int64_t d) {
  double sum = 0.0;
  for (std::int64_t t = begin; t < end; ++t) sum += static_cast<double>(at<T>(x_td, t, d));
  return static_cast<T>(sum / static_cast<double>(end - begin));
}

}  // namespace

template <class T>
void pool(const ops::PoolArgs& args) {
  fill_zeros<T>(args.y_sd);
  for_each_sequence(args.seq_begin, [&](std::int64_t s, std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = 0; d < args.y_sd.size(1); ++d) {
      T& y = at<T>(args.y_sd, s, d);
      switch (args.kind) {
        case ops::PoolKind::mean: y = mean<T>(args.x_td, begin, end, d); break;
        case ops::PoolKind::last: y = at<T>(args.x_td, end - 1, d); break;
        case ops::PoolKind::max: y = at<T>(args.x_td, largest<T>(args.x_td, begin, end, d), d); break;
      }
    }
  });
}

// The state's first row is the sum, the largest or the last number so far.
template <class T>
void pool_piece(const ops::PoolPieceArgs& args) {
  const std::int64_t tokens = args.x_td.size(0);
  const std::int64_t so_far = args.tokens_before + tokens;
  for (std::int64_t d = 0; d < args.x_td.size(1); ++d) {
    double& state = at<double>(args.state_kd, 0, d);
    if (args.tokens_before == 0) state = 0.0;
    for (std::int64_t t = 0; t < tokens; ++t) {
      const auto value = static_cast<double>(at<T>(args.x_td, t, d));
      const bool is_first = args.tokens_before + t == 0;
      const bool is_larger = is_first || value > state || (std::isnan(value) && !std::isnan(state));
      switch (args.kind) {
        case ops::PoolKind::mean: state += value; break;
        case ops::PoolKind::last: state = value; break;
        case ops::PoolKind::max: state = is_larger ? value : state; break;
      }
    }
    if (!args.y_sd) continue;
    const bool divides = args.kind == ops::PoolKind::mean && so_far > 0;
    at<T>(args.y_sd, 0, d) = static_cast<T>(divides ? state / static_cast<double>(so_far) : state);
  }
}

template <class T>
void pool_backward(const ops::PoolBackwardArgs& args) {
  fill_zeros<T>(args.dx_td);
  for_each_sequence(args.seq_begin, [&](std::int64_t s, std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = 0; d < args.dx_td.size(1); ++d) {
      const T dy = at<T>(args.dy_sd, s, d);
      switch (args.kind) {
        case ops::PoolKind::mean:
          for (std::int64_t t = begin; t < end; ++t) at<T>(args.dx_td, t, d) = dy / static_cast<T>(end - begin);
          break;
        case ops::PoolKind::last: at<T>(args.dx_td, end - 1, d) = dy; break;
        case ops::PoolKind::max: at<T>(args.dx_td, largest<T>(args.x_td, begin, end, d), d) = dy; break;
      }
    }
  });
}

template <class T>
void attention_pool(const ops::AttentionPoolArgs& args) {
  fill_zeros<T>(args.y_sd);
  for_each_sequence(args.seq_begin, [&](std::int64_t s, std::int64_t begin, std::int64_t end) {
    T top = -std::numeric_limits<T>::infinity();
    for (std::int64_t t = begin; t < end; ++t) top = std::max(top, at<T>(args.score_t, t));
    T sum = 0;
    for (std::int64_t t = begin; t < end; ++t) sum += std::exp(at<T>(args.score_t, t) - top);
    for (std::int64_t t = begin; t < end; ++t) {
      const T weight = std::exp(at<T>(args.score_t, t) - top) / sum;
      at<T>(args.weight_t, t) = weight;
      for (std::int64_t d = 0; d < args.y_sd.size(1); ++d) at<T>(args.y_sd, s, d) += weight * at<T>(args.x_td, t, d);
    }
  });
}

// With dw[t] = dy . x[t]: the softmax gives dscore[t] = weight[t] * (dw[t] - sum of weight * dw over the sequence).
template <class T>
void attention_pool_backward(const ops::AttentionPoolBackwardArgs& args) {
  for_each_sequence(args.seq_begin, [&](std::int64_t s, std::int64_t begin, std::int64_t end) {
    T mean = 0;
    for (std::int64_t t = begin; t < end; ++t) {
      const T weight = at<T>(args.weight_t, t);
      T dweight = 0;
      for (std::int64_t d = 0; d < args.dx_td.size(1); ++d) {
        dweight += at<T>(args.dy_sd, s, d) * at<T>(args.x_td, t, d);
        at<T>(args.dx_td, t, d) = weight * at<T>(args.dy_sd, s, d);
      }
      at<T>(args.dscore_t, t) = dweight;
      mean += weight * dweight;
    }
    for (std::int64_t t = begin; t < end; ++t) {
      T& dscore = at<T>(args.dscore_t, t);
      dscore = at<T>(args.weight_t, t) * (dscore - mean);
    }
  });
}

template void pool<double>(const ops::PoolArgs&);
template void pool<float>(const ops::PoolArgs&);
template void pool_piece<double>(const ops::PoolPieceArgs&);
template void pool_piece<float>(const ops::PoolPieceArgs&);
template void pool_backward<double>(const ops::PoolBackwardArgs&);
template void pool_backward<float>(const ops::PoolBackwardArgs&);
template void attention_pool<double>(const ops::AttentionPoolArgs&);
template void attention_pool<float>(const ops::AttentionPoolArgs&);
template void attention_pool_backward<double>(const ops::AttentionPoolBackwardArgs&);
template void attention_pool_backward<float>(const ops::AttentionPoolBackwardArgs&);

}  // namespace strandline::ref
