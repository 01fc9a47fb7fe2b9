#include "core/model/mil/attention_net.hpp"

#include <string>

#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr const char* kHidden = "attention.hidden";
constexpr const char* kGate = "attention.gate";
constexpr const char* kScore = "attention.score";

View weight_of(const Weights& weights, const char* name) { return weights.view(std::string(name) + ".weight"); }
View bias_of(const Weights& weights, const char* name) { return weights.view(std::string(name) + ".bias"); }

}  // namespace

// Of one segment: what went into tanh and sigmoid, what came out, and their product. Plain: `product` is `tanh`.
struct AttentionNet::Hidden {
  View before_tanh_sa;
  View tanh_sa;
  View before_gate_sa{};
  View gate_sa{};
  View product_sa{};
};

// One of the two ways from h to the product, backwards.
struct AttentionNet::Lane {
  const char* name;
  ops::ActivationKind kind;
  ConstView before_sa;
  View dafter_sa;  // becomes the gradient in front of the activation
  ConstView h_sd;
  View dh_sd;
};

AttentionNet::AttentionNet(const MilContext& context) : context_(context) {}

AttentionNet::Hidden AttentionNet::hidden_of(ConstView h_sd) const {
  Backend& backend = context_.backend;
  const Shape sa{h_sd.size(0), context_.config.attention_width};
  const auto lane = [&](const char* name, ops::ActivationKind kind, View before_sa, View after_sa) {
    ops::linear(backend, {.x_ti = h_sd,
                          .weight_oi = weight_of(context_.weights, name),
                          .bias_o = bias_of(context_.weights, name),
                          .y_to = before_sa});
    ops::activation(backend, {.x_td = before_sa, .kind = kind, .y_td = after_sa});
  };
  Workspace& workspace = context_.workspace;
  Hidden hidden{.before_tanh_sa = workspace.take(context_.dtype(), sa),
                .tanh_sa = workspace.take(context_.dtype(), sa)};
  lane(kHidden, ops::ActivationKind::tanh, hidden.before_tanh_sa, hidden.tanh_sa);
  hidden.product_sa = hidden.tanh_sa;
  if (!context_.config.gated) return hidden;
  hidden.before_gate_sa = workspace.take(context_.dtype(), sa);
  hidden.gate_sa = workspace.take(context_.dtype(), sa);
  lane(kGate, ops::ActivationKind::sigmoid, hidden.before_gate_sa, hidden.gate_sa);
  hidden.product_sa = workspace.take(context_.dtype(), sa);
  copy_dense(backend.memory(), hidden.tanh_sa, hidden.product_sa);
  ops::multiply(backend, hidden.gate_sa, hidden.product_sa);
  return hidden;
}

void AttentionNet::forward(ConstView h_md, View score_m1) const {
  for_pieces(h_md.size(0), context_.segment_patches, [&](const TokenRange& range) {
    const Workspace::Scope scope(context_.workspace);
    ops::linear(context_.backend, {.x_ti = hidden_of(rows_of(h_md, range)).product_sa,
                                   .weight_oi = weight_of(context_.weights, kScore),
                                   .bias_o = bias_of(context_.weights, kScore),
                                   .y_to = rows_of(score_m1, range)});
  });
}

void AttentionNet::backward(ConstView h_md, ConstView dscore_m1, View dh_md, const Weights& gradients) const {
  Backend& backend = context_.backend;
  for_pieces(h_md.size(0), context_.segment_patches, [&](const TokenRange& range) {
    const Workspace::Scope scope(context_.workspace);
    const ConstView h_sd = rows_of(h_md, range);
    const View dh_sd = rows_of(dh_md, range);
    const Hidden hidden = hidden_of(h_sd);
    const View dtanh_sa = context_.workspace.take(context_.dtype(), hidden.tanh_sa.shape());
    ops::linear_backward(backend, {.x_ti = hidden.product_sa,
                                   .weight_oi = weight_of(context_.weights, kScore),
                                   .dy_to = rows_of(dscore_m1, range),
                                   .dx_ti = dtanh_sa,
                                   .dweight_oi = weight_of(gradients, kScore),
                                   .dbias_o = bias_of(gradients, kScore)});
    if (hidden.gate_sa) {
      const View dgate_sa = context_.workspace.take(context_.dtype(), dtanh_sa.shape());
      copy_dense(backend.memory(), dtanh_sa, dgate_sa);
      ops::multiply(backend, hidden.tanh_sa, dgate_sa);
      ops::multiply(backend, hidden.gate_sa, dtanh_sa);
      lane_backward({kGate, ops::ActivationKind::sigmoid, hidden.before_gate_sa, dgate_sa, h_sd, dh_sd}, gradients);
    }
    lane_backward({kHidden, ops::ActivationKind::tanh, hidden.before_tanh_sa, dtanh_sa, h_sd, dh_sd}, gradients);
  });
}

void AttentionNet::lane_backward(const Lane& lane, const Weights& gradients) const {
  Backend& backend = context_.backend;
  ops::activation_backward(
      backend, {.x_td = lane.before_sa, .kind = lane.kind, .dy_td = lane.dafter_sa, .dx_td = lane.dafter_sa});
  const View added_sd = context_.workspace.take(context_.dtype(), lane.dh_sd.shape());
  ops::linear_backward(backend, {.x_ti = lane.h_sd,
                                 .weight_oi = weight_of(context_.weights, lane.name),
                                 .dy_to = lane.dafter_sa,
                                 .dx_ti = added_sd,
                                 .dweight_oi = weight_of(gradients, lane.name),
                                 .dbias_o = bias_of(gradients, lane.name)});
  ops::add(backend, added_sd, lane.dh_sd);
}

}  // namespace strandline
