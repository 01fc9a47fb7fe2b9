#include "core/model/classifier.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "core/base/error.hpp"
#include "core/model/initialise.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr const char* kScoreName = "pool.score.weight";
constexpr const char* kHeadName = "head.weight";
constexpr const char* kHeadBiasName = "head.bias";

// The same numbers under another dense shape.
View reshaped(const View& dense, const Shape& shape) { return {dense.data(), dense.dtype(), shape, dense.device()}; }

void require_count(const char* what, std::size_t count, std::int64_t wanted) {
  if (std::cmp_equal(count, wanted)) return;
  throw ContractError("classifier: " + std::string(what) + " has " + std::to_string(count) + " values; it must have " +
                      std::to_string(wanted));
}

void check_labels(std::span<const std::int32_t> labels, const ClassifierConfig& config) {
  for (std::size_t s = 0; s < labels.size(); ++s) {
    if (labels[s] >= 0 && labels[s] < config.classes) continue;
    throw ContractError("classifier: label " + std::to_string(labels[s]) + " of sequence " + std::to_string(s) +
                        " is outside the " + std::to_string(config.classes) + " classes");
  }
}

std::int64_t count_correct(std::span<const double> logits, std::span<const std::int32_t> labels) {
  const std::size_t classes = labels.empty() ? 0 : logits.size() / labels.size();
  std::int64_t correct = 0;
  for (std::size_t s = 0; s < labels.size(); ++s) {
    const auto row = logits.subspan(s * classes, classes);
    correct += std::max_element(row.begin(), row.end()) - row.begin() == labels[s] ? 1 : 0;
  }
  return correct;
}

}  // namespace

ops::PoolKind pool_kind(Pooling pooling) {
  switch (pooling) {
    case Pooling::last: return ops::PoolKind::last;
    case Pooling::max: return ops::PoolKind::max;
    default: return ops::PoolKind::mean;
  }
}

// Pooled vectors, and what attention keeps for its backward.
struct Classifier::Pooled {
  View pooled_sd;
  View weight_t{};
};

Classifier::Classifier(const ClassifierConfig& config, Backend& backend, const EncoderOptions& options)
    : config_(config), weights_(WeightLayout(config), backend), encoder_(config.encoder, backend, weights_, options) {}

void Classifier::initialise(std::uint64_t seed) { strandline::initialise(config_.encoder, seed, weights_); }

Weights& Classifier::gradients() {
  if (!gradients_.flat()) gradients_ = Weights(weights_.layout(), backend());
  return gradients_;
}

void Classifier::predict(const PackedBatch& batch, std::span<float> logits) {
  require_count("logits", logits.size(), batch.sequences() * config_.classes);
  run(batch, logits, {});
}

void Classifier::embed(const PackedBatch& batch, std::span<float> pooled) {
  require_count("pooled", pooled.size(), batch.sequences() * config_.encoder.d_model);
  run(batch, {}, pooled);
}

void Classifier::predict(const PackedBatch& batch, std::span<float> logits, std::span<float> pooled) {
  require_count("logits", logits.size(), batch.sequences() * config_.classes);
  require_count("pooled", pooled.size(), batch.sequences() * config_.encoder.d_model);
  run(batch, logits, pooled);
}

void Classifier::run(const PackedBatch& batch, std::span<float> logits, std::span<float> pooled) {
  if (batch.sequences() == 0) return;
  Workspace& workspace = encoder_.workspace();
  const Workspace::Scope scope(workspace);
  const DType dtype = backend().accumulate_dtype();
  const View hidden_td = workspace.take(dtype, {batch.tokens(), config_.encoder.d_model});
  encoder_.forward(batch, hidden_td);
  const View pooled_sd = pool(batch, hidden_td).pooled_sd;
  const View logits_sc = workspace.take(dtype, {batch.sequences(), config_.classes});
  if (!logits.empty()) apply_head(pooled_sd, logits_sc);
  backend().synchronize();
  if (!logits.empty()) download_values(backend().memory(), logits_sc, logits);
  if (!pooled.empty()) download_values(backend().memory(), pooled_sd, pooled);
}

Classifier::Pooled Classifier::pool(const PackedBatch& batch, ConstView hidden_td) {
  Workspace& workspace = encoder_.workspace();
  const std::int64_t tokens = batch.tokens();
  const DType dtype = backend().accumulate_dtype();
  Pooled result{.pooled_sd = workspace.take(dtype, {batch.sequences(), config_.encoder.d_model})};
  if (config_.pooling != Pooling::attention) {
    ops::pool(backend(), {.x_td = hidden_td,
                          .seq_begin = batch.seq_begin(),
                          .kind = pool_kind(config_.pooling),
                          .y_sd = result.pooled_sd});
    return result;
  }
  const View score_t1 = workspace.take(dtype, {tokens, 1});
  result.weight_t = workspace.take(dtype, {tokens});
  ops::linear(backend(), {.x_ti = hidden_td, .weight_oi = weights_.view(kScoreName), .y_to = score_t1});
  ops::attention_pool(backend(), {.x_td = hidden_td,
                                  .score_t = reshaped(score_t1, {tokens}),
                                  .seq_begin = batch.seq_begin(),
                                  .y_sd = result.pooled_sd,
                                  .weight_t = result.weight_t});
  return result;
}

void Classifier::apply_head(ConstView pooled_sd, View logits_sc) {
  ops::linear(backend(), {.x_ti = pooled_sd,
                          .weight_oi = weights_.view(kHeadName),
                          .bias_o = weights_.view(kHeadBiasName),
                          .y_to = logits_sc});
}

void Classifier::head(ConstView pooled_sd, std::span<float> logits) {
  require_count("logits", logits.size(), config_.classes);
  Workspace& workspace = encoder_.workspace();
  const Workspace::Scope scope(workspace);
  const View logits_sc = workspace.take(backend().accumulate_dtype(), {1, config_.classes});
  apply_head(pooled_sd, logits_sc);
  backend().synchronize();
  download_values(backend().memory(), logits_sc, logits);
}

TrainStepResult Classifier::train_step(const PackedBatch& batch, std::span<const std::int32_t> labels,
                                       const TrainStepArgs& args) {
  require_count("labels", labels.size(), batch.sequences());
  if (!args.class_weights.empty()) require_count("class_weights", args.class_weights.size(), config_.classes);
  check_labels(labels, config_);
  if (batch.sequences() == 0) return {};
  Workspace& workspace = encoder_.workspace();
  const Workspace::Scope scope(workspace);
  const DType dtype = backend().accumulate_dtype();
  const View hidden_td = workspace.take(dtype, {batch.tokens(), config_.encoder.d_model});
  const View logits_sc = workspace.take(dtype, {batch.sequences(), config_.classes});
  const View dpooled_sd = workspace.take(dtype, {batch.sequences(), config_.encoder.d_model});

  const EncoderTape tape = encoder_.forward_training(batch, args.dropout, hidden_td);
  const Pooled pooled = pool(batch, hidden_td);
  apply_head(pooled.pooled_sd, logits_sc);
  const TrainStepResult result = loss_and_head_backward(labels, args, {pooled.pooled_sd, logits_sc, dpooled_sd});
  if (batch.tokens() == 0) return result;
  const View dhidden_td = workspace.take(dtype, hidden_td.shape());
  pool_backward(batch, hidden_td, pooled, {dpooled_sd, dhidden_td});
  encoder_.backward(batch, tape, dhidden_td, gradients());
  return result;
}

TrainStepResult Classifier::loss_and_head_backward(std::span<const std::int32_t> labels, const TrainStepArgs& args,
                                                   const HeadTensors& tensors) {
  Workspace& workspace = encoder_.workspace();
  const Workspace::Scope scope(workspace);
  Memory& memory = backend().memory();
  const auto sequences = static_cast<std::int64_t>(labels.size());
  std::vector<double> logits(static_cast<std::size_t>(tensors.logits_sc.elements()));
  backend().synchronize();
  download_values(memory, tensors.logits_sc, logits);

  const View label_s = workspace.take(DType::i32, {sequences});
  memory.upload(label_s.data(), labels.data(), labels.size_bytes());
  const View loss_s = workspace.take(tensors.logits_sc.dtype(), {sequences});
  ops::CrossEntropyArgs loss{.logits_sc = tensors.logits_sc,
                             .label_s = label_s,
                             .label_smoothing = args.label_smoothing,
                             .scale = args.scale,
                             .loss_s = loss_s,
                             .dlogits_sc = tensors.logits_sc};
  if (!args.class_weights.empty()) {
    const View class_weight_c = workspace.take(tensors.logits_sc.dtype(), {config_.classes});
    upload_values(memory, args.class_weights, class_weight_c);
    loss.class_weight_c = class_weight_c;
  }
  ops::cross_entropy(backend(), loss);
  ops::linear_backward(backend(), {.x_ti = tensors.pooled_sd,
                                   .weight_oi = weights_.view(kHeadName),
                                   .dy_to = tensors.logits_sc,
                                   .dx_ti = tensors.dpooled_sd,
                                   .dweight_oi = gradients().view(kHeadName),
                                   .dbias_o = gradients().view(kHeadBiasName)});
  std::vector<double> losses(labels.size());
  backend().synchronize();
  download_values(memory, loss_s, losses);
  return {.loss_sum = std::accumulate(losses.begin(), losses.end(), 0.0), .correct = count_correct(logits, labels)};
}

void Classifier::pool_backward(const PackedBatch& batch, ConstView hidden_td, const Pooled& pooled,
                               const PoolGradients& gradient) {
  if (config_.pooling != Pooling::attention) {
    ops::pool_backward(backend(), {.x_td = hidden_td,
                                   .seq_begin = batch.seq_begin(),
                                   .kind = pool_kind(config_.pooling),
                                   .dy_sd = gradient.dpooled_sd,
                                   .dx_td = gradient.dhidden_td});
    return;
  }
  Workspace& workspace = encoder_.workspace();
  const Workspace::Scope scope(workspace);
  const View dscore_t1 = workspace.take(hidden_td.dtype(), {batch.tokens(), 1});
  ops::attention_pool_backward(backend(), {.x_td = hidden_td,
                                           .weight_t = pooled.weight_t,
                                           .seq_begin = batch.seq_begin(),
                                           .dy_sd = gradient.dpooled_sd,
                                           .dx_td = gradient.dhidden_td,
                                           .dscore_t = reshaped(dscore_t1, {batch.tokens()})});
  const View score_1d = weights_.view(kScoreName);
  ops::linear_backward(
      backend(),
      {.x_ti = hidden_td, .weight_oi = score_1d, .dy_to = dscore_t1, .dweight_oi = gradients().view(kScoreName)});
  // dhidden += dscore * score: a linear map from one input, whose weight is the same row stood up as a column.
  ops::linear(backend(), {.x_ti = dscore_t1,
                          .weight_oi = reshaped(score_1d, {config_.encoder.d_model, 1}),
                          .y_to = gradient.dhidden_td,
                          .accumulate = true});
}

void class_probabilities(std::span<const float> logits, std::span<double> probabilities) {
  require_count("probabilities", probabilities.size(), static_cast<std::int64_t>(logits.size()));
  if (logits.empty()) return;
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::transform(logits.begin(), logits.end(), probabilities.begin(),
                 [&](float logit) { return std::exp(logit - largest); });
  const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  for (double& probability : probabilities) probability /= sum;
}

}  // namespace strandline
