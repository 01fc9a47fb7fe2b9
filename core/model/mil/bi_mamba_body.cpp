// Bodies whose tokens are the patches themselves: none at all, and our own bidirectional blocks.
#include <algorithm>
#include <vector>

#include "core/model/mil/mamba_stack.hpp"
#include "core/model/mil/mil_body.hpp"
#include "core/model/mil/mil_weights.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr const char* kNorm = "backbone.norm_f.weight";

class IdentityBody final : public MilBody {
 public:
  View forward(View h_nd) override { return h_nd; }
  View forward_training(View h_nd, const DropoutDraw&) override { return h_nd; }
  View backward(View dtokens_md, const Weights&) override { return dtokens_md; }
  void attention_of_patches(std::span<const double> weight_m, std::span<double> attention_n) const override {
    std::copy(weight_m.begin(), weight_m.end(), attention_n.begin());
  }
};

std::vector<BlockPlace> places_of(const MilConfig& config) {
  std::vector<BlockPlace> places;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) places.push_back(backbone_place(layer));
  return places;
}

// tokens = rms_norm(blocks(h)). Dropout acts in the projection only.
class BiMambaBody final : public MilBody {
 public:
  explicit BiMambaBody(const MilContext& context)
      : context_(context), stack_(context, places_of(context.config)), norm_d_(context.weights.view(kNorm)) {}

  View forward(View h_nd) override {
    stack_.forward(h_nd);
    normalise(h_nd, h_nd);
    return h_nd;
  }

  View forward_training(View h_nd, const DropoutDraw&) override {
    const std::int64_t layers = context_.config.layers;
    const TokenRange all{0, h_nd.size(0)};
    const View tape_lnd = context_.workspace.take(context_.dtype(), {layers, h_nd.size(0), h_nd.size(1)});
    residual_.assign(1, h_nd);
    for (std::int64_t layer = 0; layer < layers; ++layer) residual_.push_back(tape_rows(tape_lnd, layer, all));
    stack_.forward_training(residual_);
    const View tokens_nd = context_.workspace.take(context_.dtype(), h_nd.shape());
    normalise(residual_.back(), tokens_nd);
    return tokens_nd;
  }

  View backward(View dtokens_md, const Weights& gradients) override {
    const View dresidual_nd = context_.workspace.take(context_.dtype(), dtokens_md.shape());
    ops::rms_norm_backward(context_.backend, {.x_td = residual_.back(),
                                              .weight_d = norm_d_,
                                              .eps = context_.config.encoder().norm_eps,
                                              .dy_td = dtokens_md,
                                              .dx_td = dresidual_nd,
                                              .dweight_d = gradients.view(kNorm)});
    stack_.backward(residual_, dresidual_nd, gradients);
    return dresidual_nd;
  }

  void attention_of_patches(std::span<const double> weight_m, std::span<double> attention_n) const override {
    std::copy(weight_m.begin(), weight_m.end(), attention_n.begin());
  }

 private:
  void normalise(ConstView residual_nd, View tokens_nd) const {
    ops::rms_norm(
        context_.backend,
        {.x_td = residual_nd, .weight_d = norm_d_, .eps = context_.config.encoder().norm_eps, .y_td = tokens_nd});
  }

  const MilContext& context_;
  MambaStack stack_;
  View norm_d_;
  std::vector<View> residual_;
};

}  // namespace

std::unique_ptr<MilBody> make_identity_body() { return std::make_unique<IdentityBody>(); }

std::unique_ptr<MilBody> make_bi_mamba_body(const MilContext& context) {
  return std::make_unique<BiMambaBody>(context);
}

}  // namespace strandline
