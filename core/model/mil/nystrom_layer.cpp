#include "core/model/mil/nystrom_layer.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/checked.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

using Offsets = std::array<std::int64_t, 2>;

// Offsets of `count` groups of `size` rows.
std::vector<std::int64_t> groups_of(std::int64_t count, std::int64_t size) {
  std::vector<std::int64_t> offsets;
  for (std::int64_t group = 0; group <= count; ++group) offsets.push_back(group * size);
  return offsets;
}

View flat(const View& dense_mhp) {
  return reshaped(dense_mhp, {dense_mhp.size(0), dense_mhp.size(1) * dense_mhp.size(2)});
}

// (M, P) of one head.
View head_of(const View& dense_mhp, std::int64_t h) {
  return flat(dense_mhp).slice(1, h * dense_mhp.size(2), (h + 1) * dense_mhp.size(2));
}

// (M, M) of one head.
View square_of(const View& dense_hmm, std::int64_t h) {
  return reshaped(dense_hmm.slice(0, h, h + 1), {dense_hmm.size(1), dense_hmm.size(2)});
}

View rows_of_squares(const View& dense_hmm) {
  return reshaped(dense_hmm, {dense_hmm.size(0) * dense_hmm.size(1), dense_hmm.size(2)});
}

std::vector<double> to_host(Backend& backend, const View& dense) {
  std::vector<double> values(static_cast<std::size_t>(dense.elements()));
  backend.synchronize();
  download_values(backend.memory(), dense, values);
  return values;
}

}  // namespace

// Tensors of one forward. T = N' tokens; seen = softmax(ql k^T) v, mixed = inverse seen.
struct NystromLayer::Pass {
  std::int64_t pad;
  View x_td;
  View qkv_tr;
  View ql_mhp;
  View kl_mhp;
  View middle_hmm;
  View inverse_hmm;
  View seen_mhp;
  View seen_log_sum_mh;
  View mixed_mhp;
  View y_thp;
  View y_log_sum_th;
  double scale;

  std::int64_t tokens() const { return x_td.size(0); }
  std::int64_t heads() const { return ql_mhp.size(1); }
  std::int64_t landmarks() const { return ql_mhp.size(0); }
  // 0: q, 1: k, 2: v, of this tensor or of its gradient
  View part(const View& qkv, int which) const {
    const std::int64_t width = x_td.size(1);
    return qkv.slice(1, which * width, (which + 1) * width);
  }
  View part_thp(const View& qkv, int which) const { return part(qkv, which).split_last(heads()); }

  // seen = what the landmarks' queries see of all tokens
  ops::AttentionArgs landmark_queries(const Offsets& few, const Offsets& all) const {
    return {.q_thp = ql_mhp,
            .k_uhp = part_thp(qkv_tr, 1),
            .v_uhp = part_thp(qkv_tr, 2),
            .query_begin = few,
            .key_begin = all,
            .scale = scale,
            .y_thp = seen_mhp,
            .log_sum_th = seen_log_sum_mh};
  }
  // y = what all tokens' queries see of the landmarks
  ops::AttentionArgs landmark_keys(const Offsets& all, const Offsets& few) const {
    return {.q_thp = part_thp(qkv_tr, 0),
            .k_uhp = kl_mhp,
            .v_uhp = mixed_mhp,
            .query_begin = all,
            .key_begin = few,
            .scale = scale,
            .y_thp = y_thp,
            .log_sum_th = y_log_sum_th};
  }
};

// dy is the gradient behind attention and convolution, the rest what it becomes on the way to dqkv.
struct NystromLayer::Gradient {
  View dy_td;
  View dqkv_tr;
  View dql_mhp;
  View dkl_mhp;
  View dseen_mhp;
  View dmixed_mhp;
  View dinverse_hmm;
  View dmiddle_hmm;
  View spare_td;
};

NystromLayer::NystromLayer(const MilContext& context, std::int64_t index)
    : context_(context), index_(index), prefix_("layers." + std::to_string(index) + ".") {}

double NystromLayer::scale() const { return 1.0 / std::sqrt(static_cast<double>(context_.config.d_model / heads())); }

NystromLayer::Pass NystromLayer::take_pass(std::int64_t tokens, std::int64_t pad) const {
  Workspace& workspace = context_.workspace;
  const DType dtype = context_.dtype();
  const std::int64_t width = context_.config.d_model;
  const Shape landmark_shape{landmarks(), heads(), width / heads()};
  const Shape square_shape{heads(), landmarks(), landmarks()};
  return {.pad = pad,
          .x_td = workspace.take_zeros(dtype, {tokens, width}),
          .qkv_tr = workspace.take(dtype, {tokens, 3 * width}),
          .ql_mhp = workspace.take(dtype, landmark_shape),
          .kl_mhp = workspace.take(dtype, landmark_shape),
          .middle_hmm = workspace.take(dtype, square_shape),
          .inverse_hmm = workspace.take(dtype, square_shape),
          .seen_mhp = workspace.take(dtype, landmark_shape),
          .seen_log_sum_mh = workspace.take(dtype, {landmarks(), heads()}),
          .mixed_mhp = workspace.take(dtype, landmark_shape),
          .y_thp = workspace.take(dtype, {tokens, heads(), width / heads()}),
          .y_log_sum_th = workspace.take(dtype, {tokens, heads()}),
          .scale = scale()};
}

NystromLayer::Pass NystromLayer::run(ConstView residual_nd) const {
  const std::int64_t tokens = round_up(residual_nd.size(0), landmarks());
  const Pass pass = take_pass(tokens, tokens - residual_nd.size(0));
  ops::layer_norm(context_.backend, {.x_td = residual_nd,
                                     .weight_d = weight("norm.weight"),
                                     .bias_d = weight("norm.bias"),
                                     .y_td = rows_of(pass.x_td, {pass.pad, tokens})});
  ops::linear(context_.backend, {.x_ti = pass.x_td, .weight_oi = weight("qkv.weight"), .y_to = pass.qkv_tr});
  compare_landmarks(pass);
  attend(pass);
  return pass;
}

// Landmarks, their softmax, its pseudo-inverse.
void NystromLayer::compare_landmarks(const Pass& pass) const {
  Backend& backend = context_.backend;
  const std::vector<std::int64_t> groups = groups_of(landmarks(), pass.tokens() / landmarks());
  ops::pool(backend, {.x_td = pass.part(pass.qkv_tr, 0), .seq_begin = groups, .y_sd = flat(pass.ql_mhp)});
  ops::pool(backend, {.x_td = pass.part(pass.qkv_tr, 1), .seq_begin = groups, .y_sd = flat(pass.kl_mhp)});
  for (std::int64_t h = 0; h < heads(); ++h) {
    ops::linear(
        backend,
        {.x_ti = head_of(pass.ql_mhp, h), .weight_oi = head_of(pass.kl_mhp, h), .y_to = square_of(pass.middle_hmm, h)});
  }
  const View rows = rows_of_squares(pass.middle_hmm);
  ops::softmax(backend, {.x_tc = rows, .scale = pass.scale, .y_tc = rows});
  ops::pseudo_inverse(
      backend, {.a_hmm = pass.middle_hmm, .iterations = context_.config.pinv_iterations, .z_hmm = pass.inverse_hmm});
}

void NystromLayer::attend(const Pass& pass) const {
  Backend& backend = context_.backend;
  const Offsets all{0, pass.tokens()};
  const Offsets few{0, landmarks()};
  ops::attention(backend, pass.landmark_queries(few, all));
  // A product of two matrices a b is what the gradient of a linear map with the weight b computes from a.
  for (std::int64_t h = 0; h < heads(); ++h) {
    ops::linear_backward(backend, {.x_ti = {},
                                   .weight_oi = head_of(pass.seen_mhp, h),
                                   .dy_to = square_of(pass.inverse_hmm, h),
                                   .dx_ti = head_of(pass.mixed_mhp, h)});
  }
  ops::attention(backend, pass.landmark_keys(all, few));
}

void NystromLayer::forward(ConstView residual_nd, const DropoutDraw* draw, View output_nd) const {
  Backend& backend = context_.backend;
  const Workspace::Scope scope(context_.workspace);
  const Pass pass = run(residual_nd);
  const View around_td = flat(pass.y_thp);
  ops::grid_conv(backend, {.x_td = pass.part(pass.qkv_tr, 2),
                           .weight_gkl = weight("residual.weight").split_last(context_.config.residual_taps),
                           .accumulate = true,
                           .y_td = around_td});
  ops::linear(backend, {.x_ti = rows_of(around_td, {pass.pad, pass.tokens()}),
                        .weight_oi = weight("out.weight"),
                        .bias_o = weight("out.bias"),
                        .y_to = output_nd});
  if (draw != nullptr) {
    ops::dropout(backend, mil_dropout(context_.config, *draw, static_cast<std::uint64_t>(index_) + 1, output_nd));
  }
  ops::add(backend, residual_nd, output_nd);
}

NystromLayer::Gradient NystromLayer::take_gradient(const Pass& pass) const {
  Workspace& workspace = context_.workspace;
  const DType dtype = context_.dtype();
  return {.dy_td = workspace.take_zeros(dtype, pass.x_td.shape()),
          .dqkv_tr = workspace.take(dtype, pass.qkv_tr.shape()),
          .dql_mhp = workspace.take(dtype, pass.ql_mhp.shape()),
          .dkl_mhp = workspace.take(dtype, pass.kl_mhp.shape()),
          .dseen_mhp = workspace.take_zeros(dtype, pass.seen_mhp.shape()),
          .dmixed_mhp = workspace.take(dtype, pass.mixed_mhp.shape()),
          .dinverse_hmm = workspace.take(dtype, pass.inverse_hmm.shape()),
          .dmiddle_hmm = workspace.take(dtype, pass.middle_hmm.shape()),
          .spare_td = workspace.take(dtype, pass.x_td.shape())};
}

void NystromLayer::backward(ConstView residual_nd, const DropoutDraw* draw, View doutput_nd,
                            const Weights& gradients) const {
  Backend& backend = context_.backend;
  Workspace& workspace = context_.workspace;
  const Workspace::Scope scope(workspace);
  const Pass pass = run(residual_nd);
  const Gradient gradient = take_gradient(pass);
  const TokenRange kept{pass.pad, pass.tokens()};
  const View taps_hk1 = weight("residual.weight").split_last(context_.config.residual_taps);

  const View around_td = workspace.take(context_.dtype(), pass.x_td.shape());
  copy_dense(backend.memory(), pass.y_thp, around_td);
  ops::grid_conv(backend,
                 {.x_td = pass.part(pass.qkv_tr, 2), .weight_gkl = taps_hk1, .accumulate = true, .y_td = around_td});
  const View dadded_nd = workspace.take(context_.dtype(), doutput_nd.shape());
  copy_dense(backend.memory(), doutput_nd, dadded_nd);
  if (draw != nullptr) {
    ops::dropout(backend, mil_dropout(context_.config, *draw, static_cast<std::uint64_t>(index_) + 1, dadded_nd));
  }
  ops::linear_backward(backend, {.x_ti = rows_of(around_td, kept),
                                 .weight_oi = weight("out.weight"),
                                 .dy_to = dadded_nd,
                                 .dx_ti = rows_of(gradient.dy_td, kept),
                                 .dweight_oi = gradients.view(prefix_ + "out.weight"),
                                 .dbias_o = gradients.view(prefix_ + "out.bias")});
  ops::grid_conv_backward(
      backend, {.x_td = pass.part(pass.qkv_tr, 2),
                .weight_gkl = taps_hk1,
                .dy_td = gradient.dy_td,
                .dx_td = pass.part(gradient.dqkv_tr, 2),
                .dweight_gkl = gradients.view(prefix_ + "residual.weight").split_last(context_.config.residual_taps)});
  attend_backward(pass, gradient);
  compare_backward(pass, gradient);
  gather_backward(pass, gradient);
  const View dx_td = gradient.spare_td;
  ops::linear_backward(backend, {.x_ti = pass.x_td,
                                 .weight_oi = weight("qkv.weight"),
                                 .dy_to = gradient.dqkv_tr,
                                 .dx_ti = dx_td,
                                 .dweight_oi = gradients.view(prefix_ + "qkv.weight")});
  ops::layer_norm_backward(backend, {.x_td = residual_nd,
                                     .weight_d = weight("norm.weight"),
                                     .dy_td = rows_of(dx_td, kept),
                                     .dx_td = doutput_nd,
                                     .accumulate_dx = true,
                                     .dweight_d = gradients.view(prefix_ + "norm.weight"),
                                     .dbias_d = gradients.view(prefix_ + "norm.bias")});
}

// From dy to dq (of the tokens), dkl, dseen and dinverse.
void NystromLayer::attend_backward(const Pass& pass, const Gradient& gradient) const {
  Backend& backend = context_.backend;
  ops::attention_backward(backend, {.forward = pass.landmark_keys({0, pass.tokens()}, {0, landmarks()}),
                                    .dy_thp = gradient.dy_td.split_last(heads()),
                                    .dq_thp = pass.part_thp(gradient.dqkv_tr, 0),
                                    .dk_uhp = gradient.dkl_mhp,
                                    .dv_uhp = gradient.dmixed_mhp});
  for (std::int64_t h = 0; h < heads(); ++h) {
    // mixed = inverse seen: dinverse = dmixed seen^T, dseen = inverse^T dmixed
    const View seen_mp = head_of(pass.seen_mhp, h);
    const View dmixed_mp = head_of(gradient.dmixed_mhp, h);
    ops::linear(backend, {.x_ti = dmixed_mp, .weight_oi = seen_mp, .y_to = square_of(gradient.dinverse_hmm, h)});
    ops::linear_backward(backend, {.x_ti = dmixed_mp,
                                   .weight_oi = seen_mp,
                                   .dy_to = square_of(pass.inverse_hmm, h),
                                   .dweight_oi = head_of(gradient.dseen_mhp, h)});
  }
}

// From dinverse to dql, and to dkl, which is added to.
void NystromLayer::compare_backward(const Pass& pass, const Gradient& gradient) const {
  Backend& backend = context_.backend;
  ops::pseudo_inverse_backward(backend, {.a_hmm = pass.middle_hmm,
                                         .iterations = context_.config.pinv_iterations,
                                         .dz_hmm = gradient.dinverse_hmm,
                                         .da_hmm = gradient.dmiddle_hmm});
  const View drows = rows_of_squares(gradient.dmiddle_hmm);
  ops::softmax_backward(
      backend, {.y_tc = rows_of_squares(pass.middle_hmm), .scale = pass.scale, .dy_tc = drows, .dx_tc = drows});
  for (std::int64_t h = 0; h < heads(); ++h) {
    ops::linear_backward(backend, {.x_ti = head_of(pass.ql_mhp, h),
                                   .weight_oi = head_of(pass.kl_mhp, h),
                                   .dy_to = square_of(gradient.dmiddle_hmm, h),
                                   .dx_ti = head_of(gradient.dql_mhp, h),
                                   .dweight_oi = head_of(gradient.dkl_mhp, h)});
  }
}

// From dseen, dql and dkl to dk and to what is still missing in dq and dv.
void NystromLayer::gather_backward(const Pass& pass, const Gradient& gradient) const {
  Backend& backend = context_.backend;
  const Workspace::Scope scope(context_.workspace);
  const View dql_more_mhp = context_.workspace.take(context_.dtype(), gradient.dql_mhp.shape());
  ops::attention_backward(backend, {.forward = pass.landmark_queries({0, landmarks()}, {0, pass.tokens()}),
                                    .dy_thp = gradient.dseen_mhp,
                                    .dq_thp = dql_more_mhp,
                                    .dk_uhp = pass.part_thp(gradient.dqkv_tr, 1),
                                    .dv_uhp = gradient.spare_td.split_last(heads())});
  ops::add(backend, gradient.spare_td, pass.part(gradient.dqkv_tr, 2));
  ops::add(backend, dql_more_mhp, gradient.dql_mhp);
  const std::vector<std::int64_t> groups = groups_of(landmarks(), pass.tokens() / landmarks());
  const std::array<View, 2> dlandmarks_mhp{gradient.dql_mhp, gradient.dkl_mhp};
  for (int which = 0; which < 2; ++which) {
    ops::pool_backward(backend, {.x_td = pass.part(pass.qkv_tr, which),
                                 .seq_begin = groups,
                                 .dy_sd = flat(dlandmarks_mhp[static_cast<std::size_t>(which)]),
                                 .dx_td = gradient.spare_td});
    ops::add(backend, gradient.spare_td, pass.part(gradient.dqkv_tr, which));
  }
}

// What the first token pays to the landmarks: softmax(q kl^T) inverse, laid out as the gradient of seen that sends a
// head's share down its first channel. One row of each matrix: computed on the host.
std::vector<double> NystromLayer::landmark_shares(const Pass& pass) const {
  const std::int64_t width = context_.config.d_model;
  const std::int64_t head_width = width / heads();
  const View row = rows_of(pass.part(pass.qkv_tr, 0), {pass.pad, pass.pad + 1});
  const std::vector<double> q = to_host(context_.backend, View(row.data(), row.dtype(), {width}, row.device()));
  const std::vector<double> kl = to_host(context_.backend, pass.kl_mhp);
  const std::vector<double> inverse = to_host(context_.backend, pass.inverse_hmm);
  std::vector<double> shares(kl.size());
  for (std::int64_t h = 0; h < heads(); ++h) {
    std::vector<double> first(static_cast<std::size_t>(landmarks()));
    double sum = 0.0;
    for (std::int64_t m = 0; m < landmarks(); ++m) {
      double score = 0.0;
      for (std::int64_t d = h * head_width; d < (h + 1) * head_width; ++d) {
        score += q[static_cast<std::size_t>(d)] * kl[static_cast<std::size_t>(m * width + d)];
      }
      first[static_cast<std::size_t>(m)] = score * pass.scale;
    }
    const double top = *std::max_element(first.begin(), first.end());
    for (double& score : first) sum += score = std::exp(score - top);
    for (std::int64_t m = 0; m < landmarks(); ++m) {
      double share = 0.0;
      for (std::int64_t k = 0; k < landmarks(); ++k) {
        share += first[static_cast<std::size_t>(k)] / sum *
                 inverse[static_cast<std::size_t>((h * landmarks() + k) * landmarks() + m)];
      }
      shares[static_cast<std::size_t>(m * width + h * head_width)] = share / static_cast<double>(heads());
    }
  }
  return shares;
}

// shares times softmax(ql k^T): what an attention sends back to its values when the shares are its result's gradient.
void NystromLayer::attention_of_first(ConstView residual_nd, std::span<double> paid_n) const {
  Backend& backend = context_.backend;
  Workspace& workspace = context_.workspace;
  const Workspace::Scope scope(workspace);
  const Pass pass = run(residual_nd);
  const View shares_mhp = workspace.take(context_.dtype(), pass.seen_mhp.shape());
  upload_values(backend.memory(), landmark_shares(pass), shares_mhp);
  const View paid_td = workspace.take(context_.dtype(), pass.x_td.shape());
  ops::attention_backward(backend, {.forward = pass.landmark_queries({0, landmarks()}, {0, pass.tokens()}),
                                    .dy_thp = shares_mhp,
                                    .dv_uhp = paid_td.split_last(heads())});
  const View one_1d = workspace.take(context_.dtype(), {1, paid_td.size(1)});
  upload_values(backend.memory(), std::vector<double>(static_cast<std::size_t>(paid_td.size(1)), 1.0), one_1d);
  const View sum_t1 = workspace.take(context_.dtype(), {pass.tokens(), 1});
  ops::linear(backend, {.x_ti = paid_td, .weight_oi = one_1d, .y_to = sum_t1});
  const std::vector<double> sums = to_host(backend, sum_t1);
  std::copy(sums.begin() + pass.pad, sums.end(), paid_n.begin());
}

}  // namespace strandline
