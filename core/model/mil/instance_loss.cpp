#include "core/model/mil/instance_loss.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

// The first k places when sorted by `before`, ties by place.
template <class Before>
std::vector<std::int32_t> first_places(std::span<const double> scores, std::int64_t k, const Before& before) {
  std::vector<std::int32_t> places(scores.size());
  std::iota(places.begin(), places.end(), 0);
  const auto middle = places.begin() + k;
  std::partial_sort(places.begin(), middle, places.end(), [&](std::int32_t a, std::int32_t b) {
    const double score_a = scores[static_cast<std::size_t>(a)];
    const double score_b = scores[static_cast<std::size_t>(b)];
    return score_a == score_b ? a < b : before(score_a, score_b);
  });
  places.erase(middle, places.end());
  return places;
}

// Rows of two scores become their gradients. @returns the sum of the losses
double hinge(std::span<double> scores, std::size_t positives, double scale) {
  double sum = 0.0;
  for (std::size_t i = 0; 2 * i < scores.size(); ++i) {
    const std::size_t target = i < positives ? 1 : 0;
    double& own = scores[2 * i + target];
    double& other = scores[2 * i + 1 - target];
    const double gap = other + 1.0 - own;
    const double share = 1.0 / (1.0 + std::exp(-gap));  // of the other class in the softmax with the margin
    sum += std::max(gap, 0.0) + std::log1p(std::exp(-std::fabs(gap)));
    own = -scale * share;
    other = scale * share;
  }
  return sum;
}

}  // namespace

ExtremePatches extreme_patches(std::span<const double> scores, std::int64_t k) {
  const auto clamped = std::min(k, static_cast<std::int64_t>(scores.size()));
  return {first_places(scores, clamped, std::greater<>()), first_places(scores, clamped, std::less<>())};
}

double instance_loss(const MilContext& context, const InstanceLossArgs& args, const Weights& gradients) {
  Backend& backend = context.backend;
  Memory& memory = backend.memory();
  const Workspace::Scope scope(context.workspace);
  std::vector<double> scores(static_cast<std::size_t>(args.score_n1.size(0)));
  backend.synchronize();
  download_values(memory, args.score_n1, scores);
  const ExtremePatches chosen = extreme_patches(scores, context.config.instance_patches);
  std::vector<std::int32_t> ids = chosen.largest;
  ids.insert(ids.end(), chosen.smallest.begin(), chosen.smallest.end());

  const auto rows = static_cast<std::int64_t>(ids.size());
  const std::string name = "instance." + std::to_string(args.label);
  const View ids_k = context.workspace.take(DType::i32, {rows});
  const View h_kd = context.workspace.take(context.dtype(), {rows, args.h_nd.size(1)});
  const View dh_kd = context.workspace.take(context.dtype(), h_kd.shape());
  const View scores_k2 = context.workspace.take(context.dtype(), {rows, 2});
  memory.upload(ids_k.data(), ids.data(), ids.size() * sizeof(std::int32_t));
  ops::embedding(backend, {.ids_t = ids_k, .table_vd = args.h_nd, .y_td = h_kd});
  ops::linear(backend, {.x_ti = h_kd,
                        .weight_oi = context.weights.view(name + ".weight"),
                        .bias_o = context.weights.view(name + ".bias"),
                        .y_to = scores_k2});
  std::vector<double> host(2 * ids.size());
  backend.synchronize();
  download_values(memory, scores_k2, host);
  const double sum = hinge(host, chosen.largest.size(), args.scale / static_cast<double>(rows));
  upload_values(memory, host, scores_k2);
  ops::linear_backward(backend, {.x_ti = h_kd,
                                 .weight_oi = context.weights.view(name + ".weight"),
                                 .dy_to = scores_k2,
                                 .dx_ti = dh_kd,
                                 .dweight_oi = gradients.view(name + ".weight"),
                                 .dbias_o = gradients.view(name + ".bias")});
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t patch = ids[static_cast<std::size_t>(i)];
    ops::add(backend, rows_of(dh_kd, {i, i + 1}), rows_of(args.dh_nd, {patch, patch + 1}));
  }
  return sum / static_cast<double>(rows);
}

}  // namespace strandline
