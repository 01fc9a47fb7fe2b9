#include "core/model/mil/mil_model.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "core/base/checked.hpp"
#include "core/base/error.hpp"
#include "core/model/mil/instance_loss.hpp"
#include "core/model/mil/mil_weights.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr const char* kHeadWeight = "head.weight";
constexpr const char* kHeadBias = "head.bias";

std::unique_ptr<MilBody> make_body(const MilContext& context) {
  switch (context.config.kind) {
    case MilKind::trans_mil: return make_trans_mil_body(context);
    case MilKind::mamba2_mil: return make_mamba2_mil_body(context);
    case MilKind::bi_mamba: return make_bi_mamba_body(context);
    default: return make_identity_body();
  }
}

void require_count(const char* what, std::size_t count, std::int64_t wanted) {
  if (std::cmp_equal(count, wanted)) return;
  throw ContractError("aggregator: " + std::string(what) + " has " + std::to_string(count) + " values; it must have " +
                      std::to_string(wanted));
}

void require_if_asked(const char* what, std::span<const float> values, std::int64_t wanted) {
  if (!values.empty()) require_count(what, values.size(), wanted);
}

ops::PoolKind pool_kind_of(MilKind kind) { return kind == MilKind::max ? ops::PoolKind::max : ops::PoolKind::mean; }

}  // namespace

// The pooled vector, and what attention keeps for its backward. score and weight are absent for mean and max.
struct MilModel::Pooled {
  View pooled_1d;
  View score_m1{};
  View weight_m{};
  std::array<std::int64_t, 2> seq_begin{};
};

MilModel::MilModel(const MilConfig& config, Backend& backend, const MilOptions& options)
    : config_(config),
      backend_(backend),
      workspace_(backend.memory()),
      weights_(mil_layout(config), backend),
      context_{config_, backend_, workspace_, weights_, options.segment_patches},
      stem_(context_),
      body_(make_body(context_)),
      attention_net_(context_) {
  if (options.segment_patches < 1) {
    throw ContractError("aggregator: segment_patches is " + std::to_string(options.segment_patches) +
                        "; it must be at least 1");
  }
}

MilModel::~MilModel() = default;

Weights& MilModel::gradients() {
  if (!gradients_.flat()) gradients_ = Weights(weights_.layout(), backend_);
  return gradients_;
}

void MilModel::initialise(std::uint64_t seed) { strandline::initialise(config_, seed, weights_); }

void MilModel::check_bag(const BagView& bag) const {
  if (bag.patches < 1) throw ContractError("aggregator: the bag has " + std::to_string(bag.patches) + " patches");
  require_count("features", bag.features.size(), checked_product(bag.patches, config_.in_features));
}

void MilModel::predict(const BagView& bag, const MilPrediction& prediction) {
  check_bag(bag);
  require_if_asked("logits", prediction.logits, config_.classes);
  require_if_asked("attention", prediction.attention, bag.patches);
  require_if_asked("pooled", prediction.pooled, config_.d_model);
  const Workspace::Scope scope(workspace_);
  const View h_nd = workspace_.take(context_.dtype(), {bag.patches, config_.d_model});
  stem_.forward(bag, h_nd);
  const View tokens_md = body_->forward(h_nd);
  const Pooled pooled = pool(tokens_md);
  const View logits_1c = workspace_.take(context_.dtype(), {1, config_.classes});
  apply_head(pooled.pooled_1d, logits_1c);
  backend_.synchronize();
  if (!prediction.logits.empty()) download_values(backend_.memory(), logits_1c, prediction.logits);
  if (!prediction.pooled.empty()) download_values(backend_.memory(), pooled.pooled_1d, prediction.pooled);
  if (!prediction.attention.empty()) write_attention(tokens_md, pooled, prediction.attention);
}

MilModel::Pooled MilModel::pool(ConstView tokens_md) {
  const std::int64_t tokens = tokens_md.size(0);
  Pooled result{.pooled_1d = workspace_.take(context_.dtype(), {1, config_.d_model}), .seq_begin = {0, tokens}};
  if (!has_attention_net(config_.kind)) {
    ops::pool(backend_, {.x_td = tokens_md,
                         .seq_begin = result.seq_begin,
                         .kind = pool_kind_of(config_.kind),
                         .y_sd = result.pooled_1d});
    return result;
  }
  result.score_m1 = workspace_.take(context_.dtype(), {tokens, 1});
  result.weight_m = workspace_.take(context_.dtype(), {tokens});
  attention_net_.forward(tokens_md, result.score_m1);
  ops::attention_pool(backend_, {.x_td = tokens_md,
                                 .score_t = reshaped(result.score_m1, {tokens}),
                                 .seq_begin = result.seq_begin,
                                 .y_sd = result.pooled_1d,
                                 .weight_t = result.weight_m});
  return result;
}

View MilModel::pool_backward(ConstView tokens_md, const Pooled& pooled, ConstView dpooled_1d) {
  const std::int64_t tokens = tokens_md.size(0);
  const View dtokens_md = workspace_.take(context_.dtype(), tokens_md.shape());
  if (!has_attention_net(config_.kind)) {
    ops::pool_backward(backend_, {.x_td = tokens_md,
                                  .seq_begin = pooled.seq_begin,
                                  .kind = pool_kind_of(config_.kind),
                                  .dy_sd = dpooled_1d,
                                  .dx_td = dtokens_md});
    return dtokens_md;
  }
  const View dscore_m1 = workspace_.take(context_.dtype(), {tokens, 1});
  ops::attention_pool_backward(backend_, {.x_td = tokens_md,
                                          .weight_t = pooled.weight_m,
                                          .seq_begin = pooled.seq_begin,
                                          .dy_sd = dpooled_1d,
                                          .dx_td = dtokens_md,
                                          .dscore_t = reshaped(dscore_m1, {tokens})});
  attention_net_.backward(tokens_md, dscore_m1, dtokens_md, gradients());
  return dtokens_md;
}

void MilModel::apply_head(ConstView pooled_1d, View logits_1c) const {
  ops::linear(backend_, {.x_ti = pooled_1d,
                         .weight_oi = weights_.view(kHeadWeight),
                         .bias_o = weights_.view(kHeadBias),
                         .y_to = logits_1c});
}

void MilModel::write_attention(ConstView tokens_md, const Pooled& pooled, std::span<float> attention) {
  std::vector<double> weight_m(static_cast<std::size_t>(tokens_md.size(0)),
                               1.0 / static_cast<double>(tokens_md.size(0)));
  if (pooled.weight_m) download_values(backend_.memory(), pooled.weight_m, weight_m);
  if (config_.kind == MilKind::max) weight_m = max_shares(tokens_md);
  std::vector<double> attention_n(attention.size());
  body_->attention_of_patches(weight_m, attention_n);
  std::transform(attention_n.begin(), attention_n.end(), attention.begin(),
                 [](double value) { return static_cast<float>(value); });
}

// The gradient of the maxima's mean: each channel sends 1 / D to the token that it came from.
std::vector<double> MilModel::max_shares(ConstView tokens_md) {
  const Workspace::Scope scope(workspace_);
  const auto width = static_cast<std::size_t>(config_.d_model);
  const std::vector<double> share(width, 1.0 / static_cast<double>(width));
  const std::vector<double> one(width, 1.0);
  const View share_1d = workspace_.take(context_.dtype(), {1, config_.d_model});
  const View one_1d = workspace_.take(context_.dtype(), {1, config_.d_model});
  const View given_md = workspace_.take(context_.dtype(), tokens_md.shape());
  const View sum_m1 = workspace_.take(context_.dtype(), {tokens_md.size(0), 1});
  upload_values(backend_.memory(), share, share_1d);
  upload_values(backend_.memory(), one, one_1d);
  const std::array<std::int64_t, 2> seq_begin{0, tokens_md.size(0)};
  ops::pool_backward(
      backend_,
      {.x_td = tokens_md, .seq_begin = seq_begin, .kind = ops::PoolKind::max, .dy_sd = share_1d, .dx_td = given_md});
  ops::linear(backend_, {.x_ti = given_md, .weight_oi = one_1d, .y_to = sum_m1});
  backend_.synchronize();
  std::vector<double> sums(static_cast<std::size_t>(tokens_md.size(0)));
  download_values(backend_.memory(), sum_m1, sums);
  return sums;
}

MilTrainResult MilModel::train_step(const BagView& bag, const MilTrainArgs& args) {
  check_bag(bag);
  if (args.label < 0 || args.label >= config_.classes) {
    throw ContractError("aggregator: label " + std::to_string(args.label) + " is outside the " +
                        std::to_string(config_.classes) + " classes");
  }
  const Workspace::Scope scope(workspace_);
  const double instance_share = config_.kind == MilKind::clam_sb ? config_.instance_weight : 0.0;
  const View h_nd = workspace_.take(context_.dtype(), {bag.patches, config_.d_model});
  const View logits_1c = workspace_.take(context_.dtype(), {1, config_.classes});
  const View dpooled_1d = workspace_.take(context_.dtype(), {1, config_.d_model});

  stem_.forward_training(bag, args.dropout, h_nd);
  const View tokens_md = body_->forward_training(h_nd, args.dropout);
  const Pooled pooled = pool(tokens_md);
  apply_head(pooled.pooled_1d, logits_1c);
  MilTrainResult result = bag_loss(args, args.scale * args.class_weight * (1.0 - instance_share), logits_1c);
  ops::linear_backward(backend_, {.x_ti = pooled.pooled_1d,
                                  .weight_oi = weights_.view(kHeadWeight),
                                  .dy_to = logits_1c,
                                  .dx_ti = dpooled_1d,
                                  .dweight_oi = gradients().view(kHeadWeight),
                                  .dbias_o = gradients().view(kHeadBias)});
  const View dtokens_md = pool_backward(tokens_md, pooled, dpooled_1d);
  if (config_.kind == MilKind::clam_sb) {
    result.instance_loss = instance_loss(context_,
                                         {.h_nd = tokens_md,
                                          .score_n1 = pooled.score_m1,
                                          .label = args.label,
                                          .scale = args.scale * args.class_weight * instance_share,
                                          .dh_nd = dtokens_md},
                                         gradients());
  }
  stem_.backward(bag, args.dropout, body_->backward(dtokens_md, gradients()), gradients());
  backend_.synchronize();
  result.loss = args.class_weight * ((1.0 - instance_share) * result.bag_loss + instance_share * result.instance_loss);
  return result;
}

// logits become their gradient, times `scale`.
MilTrainResult MilModel::bag_loss(const MilTrainArgs& args, double scale, View logits_1c) {
  const Workspace::Scope scope(workspace_);
  MilTrainResult result;
  result.logits.resize(static_cast<std::size_t>(config_.classes));
  backend_.synchronize();
  download_values(backend_.memory(), logits_1c, result.logits);
  const auto largest = std::max_element(result.logits.begin(), result.logits.end());
  result.correct = largest - result.logits.begin() == args.label;
  const View label_1 = workspace_.take(DType::i32, {1});
  const View loss_1 = workspace_.take(context_.dtype(), {1});
  backend_.memory().upload(label_1.data(), &args.label, sizeof(args.label));
  ops::cross_entropy(backend_, {.logits_sc = logits_1c,
                                .label_s = label_1,
                                .label_smoothing = args.label_smoothing,
                                .scale = scale,
                                .loss_s = loss_1,
                                .dlogits_sc = logits_1c});
  backend_.synchronize();
  std::array<double, 1> loss{};
  download_values(backend_.memory(), loss_1, loss);
  result.bag_loss = loss[0];
  return result;
}

}  // namespace strandline
