#include "core/model/mil/mil_stem.hpp"

#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr const char* kWeight = "stem.weight";
constexpr const char* kBias = "stem.bias";

ops::DropoutArgs dropout_of(const MilConfig& config, const DropoutDraw& draw, const TokenRange& range, View rows) {
  ops::DropoutArgs args = mil_dropout(config, draw, 0, rows);
  args.first_row = range.begin;
  return args;
}

}  // namespace

MilStem::MilStem(const MilContext& context)
    : context_(context), weight_di_(context.weights.view(kWeight)), bias_d_(context.weights.view(kBias)) {}

bool MilStem::drops() const { return context_.config.dropout > 0 && context_.config.kind != MilKind::trans_mil; }

View MilStem::upload(const BagView& bag, const TokenRange& range) const {
  const std::int64_t width = context_.config.in_features;
  const View x_si = context_.workspace.take(context_.dtype(), {range.size(), width});
  const auto begin = static_cast<std::size_t>(range.begin * width);
  upload_values(context_.backend.memory(), bag.features.subspan(begin, static_cast<std::size_t>(range.size() * width)),
                x_si);
  return x_si;
}

void MilStem::project(ConstView x_si, View h_sd) const {
  ops::linear(context_.backend, {.x_ti = x_si, .weight_oi = weight_di_, .bias_o = bias_d_, .y_to = h_sd});
}

void MilStem::forward(const BagView& bag, View h_nd) const {
  for_pieces(bag.patches, context_.segment_patches, [&](const TokenRange& range) {
    const Workspace::Scope scope(context_.workspace);
    const View h_sd = rows_of(h_nd, range);
    project(upload(bag, range), h_sd);
    ops::activation(context_.backend, {.x_td = h_sd, .kind = context_.config.activation, .y_td = h_sd});
  });
}

void MilStem::forward_training(const BagView& bag, const DropoutDraw& draw, View h_nd) const {
  forward(bag, h_nd);
  if (drops()) ops::dropout(context_.backend, dropout_of(context_.config, draw, {0, bag.patches}, h_nd));
}

void MilStem::backward(const BagView& bag, const DropoutDraw& draw, View dh_nd, const Weights& gradients) const {
  for_pieces(bag.patches, context_.segment_patches, [&](const TokenRange& range) {
    const Workspace::Scope scope(context_.workspace);
    const View x_si = upload(bag, range);
    const View u_sd = context_.workspace.take(context_.dtype(), {range.size(), context_.config.d_model});
    project(x_si, u_sd);
    const View dh_sd = rows_of(dh_nd, range);
    if (drops()) ops::dropout(context_.backend, dropout_of(context_.config, draw, range, dh_sd));
    ops::activation_backward(context_.backend,
                             {.x_td = u_sd, .kind = context_.config.activation, .dy_td = dh_sd, .dx_td = dh_sd});
    ops::linear_backward(context_.backend, {.x_ti = x_si,
                                            .weight_oi = weight_di_,
                                            .dy_to = dh_sd,
                                            .dweight_oi = gradients.view(kWeight),
                                            .dbias_o = gradients.view(kBias)});
  });
}

}  // namespace strandline
