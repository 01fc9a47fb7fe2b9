// The body of TransMIL: a class token in front of the patches, two layers of Nystrom attention, between them
// convolutions over the patches as a square grid; the class token alone goes on.
#include <array>
#include <string>
#include <vector>

#include "core/model/mil/mil_body.hpp"
#include "core/model/mil/mil_orders.hpp"
#include "core/model/mil/mil_weights.hpp"
#include "core/model/mil/nystrom_layer.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr const char* kClassToken = "cls_token";
constexpr const char* kNormWeight = "norm.weight";
constexpr const char* kNormBias = "norm.bias";

// Letters: N patches, Q tokens of their square (N and the first patches once more), T = 1 + Q.
class TransMilBody final : public MilBody {
 public:
  explicit TransMilBody(const MilContext& context) : context_(context), first_(context, 0), second_(context, 1) {}

  View forward(View h_nd) override { return run(h_nd, nullptr); }

  View forward_training(View h_nd, const DropoutDraw& draw) override {
    draw_ = draw;
    return run(h_nd, drops() ? &draw_ : nullptr);
  }

  View backward(View dtokens_md, const Weights& gradients) override {
    const View dh_nd = context_.workspace.take(context_.dtype(), {patches_, dtokens_md.size(1)});
    const Workspace::Scope scope(context_.workspace);
    const DropoutDraw* draw = drops() ? &draw_ : nullptr;
    const View dresidual_td = context_.workspace.take_zeros(context_.dtype(), residual_td_[0].shape());
    ops::layer_norm_backward(context_.backend, {.x_td = rows_of(residual_td_[3], {0, 1}),
                                                .weight_d = context_.weights.view(kNormWeight),
                                                .dy_td = dtokens_md,
                                                .dx_td = rows_of(dresidual_td, {0, 1}),
                                                .dweight_d = gradients.view(kNormWeight),
                                                .dbias_d = gradients.view(kNormBias)});
    second_.backward(residual_td_[2], draw, dresidual_td, gradients);
    place_backward(dresidual_td, gradients);
    first_.backward(residual_td_[0], draw, dresidual_td, gradients);

    ops::add(context_.backend, rows_of(dresidual_td, {0, 1}), gradients.view(kClassToken));
    const std::int64_t added = square_ - patches_;
    copy_dense(context_.backend.memory(), rows_of(dresidual_td, {1, 1 + patches_}), dh_nd);
    ops::add(context_.backend, rows_of(dresidual_td, {1 + patches_, 1 + square_}), rows_of(dh_nd, {0, added}));
    return dh_nd;
  }

  // What the class token pays in the second layer.
  void attention_of_patches(std::span<const double>, std::span<double> attention_n) const override {
    std::vector<double> paid_t(static_cast<std::size_t>(1 + square_));
    second_.attention_of_first(residual_td_[2], paid_t);
    std::fill(attention_n.begin(), attention_n.end(), 0.0);
    for (std::int64_t token = 0; token < square_; ++token) {
      attention_n[static_cast<std::size_t>(token % patches_)] += paid_t[static_cast<std::size_t>(1 + token)];
    }
  }

 private:
  bool drops() const { return context_.config.dropout > 0; }

  View run(View h_nd, const DropoutDraw* draw) {
    patches_ = h_nd.size(0);
    square_ = square_tokens(patches_, SquarePadding::wrap);
    side_ = 1;
    while (side_ * side_ < square_) ++side_;
    for (View& residual_td : residual_td_) {
      residual_td = context_.workspace.take(context_.dtype(), {1 + square_, h_nd.size(1)});
    }
    Memory& memory = context_.backend.memory();
    const View input_td = residual_td_[0];
    copy_dense(memory, context_.weights.view(kClassToken), rows_of(input_td, {0, 1}));
    copy_dense(memory, h_nd, rows_of(input_td, {1, 1 + patches_}));
    copy_dense(memory, rows_of(h_nd, {0, square_ - patches_}), rows_of(input_td, {1 + patches_, 1 + square_}));
    first_.forward(residual_td_[0], draw, residual_td_[1]);
    place();
    second_.forward(residual_td_[2], draw, residual_td_[3]);
    const View pooled_1d = context_.workspace.take(context_.dtype(), {1, h_nd.size(1)});
    ops::layer_norm(context_.backend, {.x_td = rows_of(residual_td_[3], {0, 1}),
                                       .weight_d = context_.weights.view(kNormWeight),
                                       .bias_d = context_.weights.view(kNormBias),
                                       .y_td = pooled_1d});
    return pooled_1d;
  }

  TokenRange grid() const { return {1, 1 + square_}; }

  // residual[2] = residual[1] and three convolutions of its patches.
  void place() const {
    copy_dense(context_.backend.memory(), residual_td_[1], residual_td_[2]);
    for (const std::int64_t taps : kPlaceTaps) {
      const std::string name = place_name(taps);
      ops::grid_conv(context_.backend, {.x_td = rows_of(residual_td_[1], grid()),
                                        .weight_gkl = context_.weights.view(name + ".weight"),
                                        .bias_d = context_.weights.view(name + ".bias"),
                                        .columns = side_,
                                        .accumulate = true,
                                        .y_td = rows_of(residual_td_[2], grid())});
    }
  }

  // dresidual, the gradient of residual[2], becomes that of residual[1].
  void place_backward(View dresidual_td, const Weights& gradients) const {
    const Workspace::Scope scope(context_.workspace);
    const View doutput_td = context_.workspace.take(context_.dtype(), dresidual_td.shape());
    copy_dense(context_.backend.memory(), dresidual_td, doutput_td);
    for (const std::int64_t taps : kPlaceTaps) {
      const std::string name = place_name(taps);
      ops::grid_conv_backward(context_.backend, {.x_td = rows_of(residual_td_[1], grid()),
                                                 .weight_gkl = context_.weights.view(name + ".weight"),
                                                 .columns = side_,
                                                 .dy_td = rows_of(doutput_td, grid()),
                                                 .dx_td = rows_of(dresidual_td, grid()),
                                                 .accumulate_dx = true,
                                                 .dweight_gkl = gradients.view(name + ".weight"),
                                                 .dbias_d = gradients.view(name + ".bias")});
    }
  }

  const MilContext& context_;
  NystromLayer first_;
  NystromLayer second_;
  std::int64_t patches_ = 0;
  std::int64_t square_ = 0;
  std::int64_t side_ = 0;
  std::array<View, 4> residual_td_;  // in front of the first layer, behind it, in front of the second, behind it
  DropoutDraw draw_;
};

}  // namespace

std::unique_ptr<MilBody> make_trans_mil_body(const MilContext& context) {
  return std::make_unique<TransMilBody>(context);
}

}  // namespace strandline
