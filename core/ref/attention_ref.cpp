#include "core/ref/attention_ref.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/ref/element.hpp"

namespace strandline::ref {
namespace {

/// One head of one sequence.
struct HeadOfSequence {
  std::int64_t h;
  std::int64_t query_begin;
  std::int64_t query_end;
  std::int64_t key_begin;
  std::int64_t key_end;
};

template <class Body>
void for_each_head(const ops::AttentionArgs& args, const Body& body) {
  for (std::size_t s = 0; s + 1 < args.query_begin.size(); ++s) {
    for (std::int64_t h = 0; h < args.q_thp.size(1); ++h) {
      body(HeadOfSequence{h, args.query_begin[s], args.query_begin[s + 1], args.key_begin[s], args.key_begin[s + 1]});
    }
  }
}

template <class T>
T dot(const ConstView& a_thp, std::int64_t t, const ConstView& b_uhp, std::int64_t u, std::int64_t h) {
  T sum = 0;
  for (std::int64_t p = 0; p < a_thp.size(2); ++p) sum += at<T>(a_thp, t, h, p) * at<T>(b_uhp, u, h, p);
  return sum;
}

/// scale * q . k for every key of the sequence.
template <class T>
std::vector<T> scores_of(const ops::AttentionArgs& args, const HeadOfSequence& head, std::int64_t t) {
  std::vector<T> scores;
  for (std::int64_t u = head.key_begin; u < head.key_end; ++u) {
    scores.push_back(static_cast<T>(args.scale) * dot<T>(args.q_thp, t, args.k_uhp, u, head.h));
  }
  return scores;
}

template <class T>
T log_sum_of(const std::vector<T>& scores) {
  if (scores.empty()) return -std::numeric_limits<T>::infinity();
  const T top = *std::max_element(scores.begin(), scores.end());
  T sum = 0;
  for (const T score : scores) sum += std::exp(score - top);
  return top + std::log(sum);
}

template <class T>
void fill_zeros(const View& view_thp) {
  if (!view_thp) return;
  for (std::int64_t t = 0; t < view_thp.size(0); ++t) {
    for (std::int64_t h = 0; h < view_thp.size(1); ++h) {
      for (std::int64_t p = 0; p < view_thp.size(2); ++p) at<T>(view_thp, t, h, p) = T(0);
    }
  }
}

/// What query t sends back.
template <class T>
void query_backward(const ops::AttentionBackwardArgs& args, const HeadOfSequence& head, std::int64_t t) {
  const ops::AttentionArgs& forward = args.forward;
  const std::vector<T> scores = scores_of<T>(forward, head, t);
  const T drop = dot<T>(args.dy_thp, t, forward.y_thp, t, head.h);
  for (std::int64_t u = head.key_begin; u < head.key_end; ++u) {
    const T a = std::exp(scores[static_cast<std::size_t>(u - head.key_begin)] - at<T>(forward.log_sum_th, t, head.h));
    const T ds = static_cast<T>(forward.scale) * a * (dot<T>(args.dy_thp, t, forward.v_uhp, u, head.h) - drop);
    for (std::int64_t p = 0; p < forward.q_thp.size(2); ++p) {
      if (args.dq_thp) at<T>(args.dq_thp, t, head.h, p) += ds * at<T>(forward.k_uhp, u, head.h, p);
      if (args.dk_uhp) at<T>(args.dk_uhp, u, head.h, p) += ds * at<T>(forward.q_thp, t, head.h, p);
      if (args.dv_uhp) at<T>(args.dv_uhp, u, head.h, p) += a * at<T>(args.dy_thp, t, head.h, p);
    }
  }
}

}  // namespace

template <class T>
void attention(const ops::AttentionArgs& args) {
  fill_zeros<T>(args.y_thp);
  for_each_head(args, [&](const HeadOfSequence& head) {
    for (std::int64_t t = head.query_begin; t < head.query_end; ++t) {
      const std::vector<T> scores = scores_of<T>(args, head, t);
      const T log_sum = log_sum_of(scores);
      if (args.log_sum_th) at<T>(args.log_sum_th, t, head.h) = log_sum;
      for (std::int64_t u = head.key_begin; u < head.key_end; ++u) {
        const T a = std::exp(scores[static_cast<std::size_t>(u - head.key_begin)] - log_sum);
        for (std::int64_t p = 0; p < args.q_thp.size(2); ++p) {
          at<T>(args.y_thp, t, head.h, p) += a * at<T>(args.v_uhp, u, head.h, p);
        }
      }
    }
  });
}

template <class T>
void attention_backward(const ops::AttentionBackwardArgs& args) {
  fill_zeros<T>(args.dq_thp);
  fill_zeros<T>(args.dk_uhp);
  fill_zeros<T>(args.dv_uhp);
  for_each_head(args.forward, [&](const HeadOfSequence& head) {
    for (std::int64_t t = head.query_begin; t < head.query_end; ++t) query_backward<T>(args, head, t);
  });
}

template <class T>
void softmax(const ops::SoftmaxArgs& args) {
  for (std::int64_t t = 0; t < args.x_tc.size(0); ++t) {
    std::vector<T> scores;
    for (std::int64_t c = 0; c < args.x_tc.size(1); ++c) {
      scores.push_back(static_cast<T>(args.scale) * at<T>(args.x_tc, t, c));
    }
    const T top = *std::max_element(scores.begin(), scores.end());
    T sum = 0;
    for (T& score : scores) sum += score = std::exp(score - top);
    for (std::int64_t c = 0; c < args.x_tc.size(1); ++c) {
      at<T>(args.y_tc, t, c) = scores[static_cast<std::size_t>(c)] / sum;
    }
  }
}

template <class T>
void softmax_backward(const ops::SoftmaxBackwardArgs& args) {
  for (std::int64_t t = 0; t < args.y_tc.size(0); ++t) {
    T drop = 0;
    for (std::int64_t c = 0; c < args.y_tc.size(1); ++c) drop += at<T>(args.dy_tc, t, c) * at<T>(args.y_tc, t, c);
    for (std::int64_t c = 0; c < args.y_tc.size(1); ++c) {
      at<T>(args.dx_tc, t, c) = static_cast<T>(args.scale) * at<T>(args.y_tc, t, c) * (at<T>(args.dy_tc, t, c) - drop);
    }
  }
}

template void attention<double>(const ops::AttentionArgs&);
template void attention<float>(const ops::AttentionArgs&);
template void attention_backward<double>(const ops::AttentionBackwardArgs&);
template void attention_backward<float>(const ops::AttentionBackwardArgs&);
template void softmax<double>(const ops::SoftmaxArgs&);
template void softmax<float>(const ops::SoftmaxArgs&);
template void softmax_backward<double>(const ops::SoftmaxBackwardArgs&);
template void softmax_backward<float>(const ops::SoftmaxBackwardArgs&);

}  // namespace strandline::ref
