// The body of Mamba2MIL as it was released: the bag in three orders, each through blocks of its own, one LayerNorm over
// all. The blocks have no norm in front.
#include <vector>

#include "core/model/mil/mamba_stack.hpp"
#include "core/model/mil/mil_body.hpp"
#include "core/model/mil/mil_orders.hpp"
#include "core/model/mil/mil_weights.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr const char* kNormWeight = "norm.weight";
constexpr const char* kNormBias = "norm.bias";

std::vector<BlockPlace> places_of(const MilConfig& config, int branch) {
  std::vector<BlockPlace> places;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) places.push_back(branch_place(branch, layer));
  return places;
}

// Letters: N patches, Q tokens of a branch (N and the padding), M = 3 Q tokens in all.
class Mamba2MilBody final : public MilBody {
 public:
  explicit Mamba2MilBody(const MilContext& context) : context_(context) {
    for (int branch = 0; branch < kMilBranches; ++branch)
      stacks_.emplace_back(context, places_of(context.config, branch));
  }

  View forward(View h_nd) override {
    const std::int64_t tokens = set_size(h_nd.size(0));
    const View all_md = context_.workspace.take(context_.dtype(), {kMilBranches * tokens, h_nd.size(1)});
    for (int branch = 0; branch < kMilBranches; ++branch) {
      const View branch_qd = rows_of(all_md, range_of(branch));
      arrange(branch, h_nd, branch_qd);
      stacks_[static_cast<std::size_t>(branch)].forward(branch_qd);
    }
    normalise(all_md, all_md);
    return all_md;
  }

  View forward_training(View h_nd, const DropoutDraw&) override {
    const std::int64_t tokens = set_size(h_nd.size(0));
    const std::int64_t layers = context_.config.layers;
    tape_lmd_ = context_.workspace.take(context_.dtype(), {layers + 1, kMilBranches * tokens, h_nd.size(1)});
    for (int branch = 0; branch < kMilBranches; ++branch) {
      const std::vector<View> residual = residual_of(branch);
      arrange(branch, h_nd, residual.front());
      stacks_[static_cast<std::size_t>(branch)].forward_training(residual);
    }
    const View tokens_md = context_.workspace.take(context_.dtype(), {kMilBranches * tokens, h_nd.size(1)});
    normalise(last_residual(), tokens_md);
    return tokens_md;
  }

  View backward(View dtokens_md, const Weights& gradients) override {
    const View dh_nd = context_.workspace.take_zeros(context_.dtype(), {patches_, dtokens_md.size(1)});
    const Workspace::Scope scope(context_.workspace);
    const View dresidual_md = context_.workspace.take(context_.dtype(), dtokens_md.shape());
    ops::layer_norm_backward(context_.backend, {.x_td = last_residual(),
                                                .weight_d = context_.weights.view(kNormWeight),
                                                .dy_td = dtokens_md,
                                                .dx_td = dresidual_md,
                                                .dweight_d = gradients.view(kNormWeight),
                                                .dbias_d = gradients.view(kNormBias)});
    for (int branch = 0; branch < kMilBranches; ++branch) {
      const View dbranch_qd = rows_of(dresidual_md, range_of(branch));
      stacks_[static_cast<std::size_t>(branch)].backward(residual_of(branch), dbranch_qd, gradients);
      arrange_backward(branch, dbranch_qd, dh_nd);
    }
    return dh_nd;
  }

  // Every place of every branch stands for a patch: the sums over the places of a patch are its attention.
  void attention_of_patches(std::span<const double> weight_m, std::span<double> attention_n) const override {
    std::fill(attention_n.begin(), attention_n.end(), 0.0);
    for (int branch = 0; branch < kMilBranches; ++branch) {
      const std::vector<std::int32_t> order = branch_order(branch, tokens_, context_.config.flip);
      const auto weight_q = weight_m.subspan(static_cast<std::size_t>(branch) * order.size(), order.size());
      for (std::size_t i = 0; i < order.size(); ++i) attention_n[patch_of(order[i])] += weight_q[i];
    }
  }

 private:
  std::int64_t set_size(std::int64_t patches) {
    patches_ = patches;
    tokens_ = square_tokens(patches, context_.config.padding);
    return tokens_;
  }

  /// The padding repeats the first patches, at most once: of a square of side W it fills at most 2 W - 2 places, and a
  /// bag that needs that side has at least (W - 1)^2 + 1 >= 2 W - 2 patches.
  std::size_t patch_of(std::int32_t token) const { return static_cast<std::size_t>(token % patches_); }

  TokenRange range_of(int branch) const { return {branch * tokens_, (branch + 1) * tokens_}; }

  std::vector<View> residual_of(int branch) const {
    std::vector<View> residual;
    for (std::int64_t layer = 0; layer <= context_.config.layers; ++layer) {
      residual.push_back(tape_rows(tape_lmd_, layer, range_of(branch)));
    }
    return residual;
  }

  View last_residual() const { return tape_rows(tape_lmd_, context_.config.layers, {0, kMilBranches * tokens_}); }

  bool reverses_channels(int branch) const { return branch == 1 && context_.config.flip == Flip::channel; }

  View upload_ids(const std::vector<std::int32_t>& ids) const {
    const View ids_q = context_.workspace.take(DType::i32, {static_cast<std::int64_t>(ids.size())});
    context_.backend.memory().upload(ids_q.data(), ids.data(), ids.size() * sizeof(std::int32_t));
    return ids_q;
  }

  // The bag in the order of a branch.
  void arrange(int branch, ConstView h_nd, View branch_qd) const {
    if (reverses_channels(branch)) {
      for_pieces(tokens_, patches_, [&](const TokenRange& range) {
        ops::reverse_channels(context_.backend, rows_of(h_nd, {0, range.size()}), rows_of(branch_qd, range));
      });
      return;
    }
    const Workspace::Scope scope(context_.workspace);
    std::vector<std::int32_t> source = branch_order(branch, tokens_, context_.config.flip);
    for (std::int32_t& token : source) token = static_cast<std::int32_t>(patch_of(token));
    ops::embedding(context_.backend, {.ids_t = upload_ids(source), .table_vd = h_nd, .y_td = branch_qd});
  }

  // Adds to dh. The order is undone by gathering through its inverse: every sum has at most two terms per branch.
  void arrange_backward(int branch, ConstView dbranch_qd, View dh_nd) const {
    const Workspace::Scope scope(context_.workspace);
    const View dpadded_qd = context_.workspace.take(context_.dtype(), dbranch_qd.shape());
    if (reverses_channels(branch)) {
      ops::reverse_channels(context_.backend, dbranch_qd, dpadded_qd);
    } else {
      const View ids_q = upload_ids(inverse_of(branch_order(branch, tokens_, context_.config.flip)));
      ops::embedding(context_.backend, {.ids_t = ids_q, .table_vd = dbranch_qd, .y_td = dpadded_qd});
    }
    for_pieces(tokens_, patches_, [&](const TokenRange& range) {
      ops::add(context_.backend, rows_of(dpadded_qd, range), rows_of(dh_nd, {0, range.size()}));
    });
  }

  void normalise(ConstView residual_md, View tokens_md) const {
    ops::layer_norm(context_.backend, {.x_td = residual_md,
                                       .weight_d = context_.weights.view(kNormWeight),
                                       .bias_d = context_.weights.view(kNormBias),
                                       .y_td = tokens_md});
  }

  const MilContext& context_;
  std::vector<MambaStack> stacks_;
  std::int64_t patches_ = 0;
  std::int64_t tokens_ = 0;
  View tape_lmd_;
};

}  // namespace

std::unique_ptr<MilBody> make_mamba2_mil_body(const MilContext& context) {
  return std::make_unique<Mamba2MilBody>(context);
}

}  // namespace strandline
