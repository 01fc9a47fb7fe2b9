#include "core/ref/ssd_scan_quadratic_ref.hpp"

#include "core/ref/ssd_scan_head.hpp"

namespace strandline::ref {
namespace {

using Head = ScanHead<double>;

/// Weight of token s in what is seen after token t: exp(A_t - A_s) delta_s, from sums that are never positive.
double weight(const Head& head, const std::vector<double>& sums, std::int64_t t, std::int64_t s) {
  return std::exp(sums[static_cast<std::size_t>(t)] - sums[static_cast<std::size_t>(s)]) * head.step(s).delta;
}

std::vector<double> decay_sums(const Head& head) {
  std::vector<double> sums;
  double sum = 0.0;
  for (std::int64_t t = 0; t < head.length(); ++t) sums.push_back(sum += head.step(t).delta * head.a());
  return sums;
}

void attend(const Head& head, const std::vector<double>& sums, const std::vector<double>& start, std::int64_t t) {
  std::vector<double> scores;
  for (std::int64_t s = 0; s <= t; ++s) {
    double product = 0.0;
    for (std::int64_t n = 0; n < head.states(); ++n) product += head.c(t)[n] * head.b(s)[n];
    scores.push_back(product * weight(head, sums, t, s));
  }
  const double carried = std::exp(sums[static_cast<std::size_t>(t)]);
  for (std::int64_t p = 0; p < head.width(); ++p) {
    double y = head.d() * head.x(t)[p];
    for (std::int64_t s = 0; s <= t; ++s) y += scores[static_cast<std::size_t>(s)] * head.x(s)[p];
    for (std::int64_t n = 0; n < head.states(); ++n) {
      y += carried * start[static_cast<std::size_t>(p * head.states() + n)] * head.c(t)[n];
    }
    at<double>(head.args.y_thp, head.token(t), head.head, p) = y;
  }
}

std::vector<double> state_at_end(const Head& head, const std::vector<double>& sums, std::vector<double> state) {
  const std::int64_t last = head.length() - 1;
  if (last < 0) return state;
  for (double& cell : state) cell *= std::exp(sums.back());
  for (std::int64_t s = 0; s <= last; ++s) {
    const double scale = weight(head, sums, last, s);
    for (std::int64_t p = 0; p < head.width(); ++p) {
      for (std::int64_t n = 0; n < head.states(); ++n) {
        state[static_cast<std::size_t>(p * head.states() + n)] += scale * head.x(s)[p] * head.b(s)[n];
      }
    }
  }
  return state;
}

}  // namespace

void ssd_scan_quadratic(const ops::SsdScanArgs& args) {
  for_each_head<double>(args, [](const Head& head) {
    const std::vector<double> sums = decay_sums(head);
    const std::vector<double> start = head.initial_state();
    for (std::int64_t t = 0; t < head.length(); ++t) attend(head, sums, start, t);
    head.store(state_at_end(head, sums, start), head.args.final_state_shpn);
  });
}

}  // namespace strandline::ref
