#include "core/model/mamba2_mixer.hpp"

#include "core/backend.hpp"

namespace strandline {
namespace {

// The five parts of a projected row are strided slices of one tensor: no copies. xbc goes through the convolution
// whole.
template <class AnyView>
struct ProjectedParts {
  AnyView z_ti;
  AnyView xbc_tc;
  AnyView dt_th;
};

template <class AnyView>
ProjectedParts<AnyView> split_projected(const EncoderConfig& config, const AnyView& projected_tr) {
  const std::int64_t z_end = config.d_inner();
  const std::int64_t xbc_end = z_end + config.conv_channels();
  return {projected_tr.slice(1, 0, z_end), projected_tr.slice(1, z_end, xbc_end),
          projected_tr.slice(1, xbc_end, config.in_proj_rows())};
}

template <class AnyView>
struct ScanParts {
  AnyView x_thp;
  AnyView b_tgn;
  AnyView c_tgn;
};

template <class AnyView>
ScanParts<AnyView> split_scan(const EncoderConfig& config, const AnyView& xbc_tc) {
  const std::int64_t x_end = config.d_inner();
  const std::int64_t b_end = x_end + config.groups * config.d_state;
  return {xbc_tc.slice(1, 0, x_end).split_last(config.heads()), xbc_tc.slice(1, x_end, b_end).split_last(config.groups),
          xbc_tc.slice(1, b_end, config.conv_channels()).split_last(config.groups)};
}

// One direction over one segment: what is computed from the projected rows on, and kept for as long as the object
// lives.
class ForwardPass {
 public:
  ForwardPass(const BlockContext& context, const MixerWeights& weights, const MixerForwardArgs& args)
      : context_(context),
        weights_(weights),
        args_(args),
        projected_(split_projected(context.config, args.projected_tr)),
        xbc_tc_(kept_or_taken(args.kept.xbc_tc, context.config.conv_channels())),
        y_ti_(kept_or_taken(args.kept.y_ti, context.config.d_inner())) {}

  void run() {
    ops::conv1d(context_.backend, conv_args());
    ops::ssd_scan(context_.backend, scan_args());
  }

  /// A tensor of the segment: the one that is kept, or room for as long as the caller's scope.
  View kept_or_taken(const View& kept, std::int64_t channels) const {
    if (kept) return kept;
    return context_.workspace.take(context_.backend.dtype(), {args_.projected_tr.size(0), channels});
  }

  /// `gated_ti` may be y_ti() itself.
  void gate(View gated_ti) const {
    const EncoderConfig& config = context_.config;
    ops::gated_rms_norm(context_.backend, {.x_td = y_ti_,
                                           .z_td = projected_.z_ti,
                                           .weight_d = weights_.norm_i,
                                           .groups = config.norm_groups,
                                           .order = config.gate_order,
                                           .eps = config.norm_eps,
                                           .y_td = gated_ti});
  }

  ops::Conv1dArgs conv_args() const {
    return {.x_tc = projected_.xbc_tc,
            .weight_ck = weights_.conv_ck,
            .bias_c = weights_.conv_bias_c,
            .seq_begin = args_.seq_begin,
            .reverse = args_.reverse,
            .silu = true,
            .initial_state_skc = args_.state_in.conv_skc,
            .final_state_skc = args_.state_out.conv_skc,
            .y_tc = xbc_tc_};
  }

  ops::SsdScanArgs scan_args() const {
    const EncoderConfig& config = context_.config;
    const ScanParts<View> parts = split_scan(config, xbc_tc_);
    return {.x_thp = parts.x_thp,
            .dt_th = projected_.dt_th,
            .a_log_h = weights_.a_log_h,
            .b_tgn = parts.b_tgn,
            .c_tgn = parts.c_tgn,
            .d_h = weights_.d_h,
            .dt_bias_h = weights_.dt_bias_h,
            .step = {.softplus = true, .min = config.dt_limit_min, .max = config.dt_limit_max},
            .seq_begin = args_.seq_begin,
            .reverse = args_.reverse,
            .chunk = config.chunk,
            .initial_state_shpn = args_.state_in.ssm_shpn,
            .final_state_shpn = args_.state_out.ssm_shpn,
            .y_thp = y_ti_.split_last(config.heads())};
  }

  const BlockContext& context() const { return context_; }
  const MixerWeights& weights() const { return weights_; }
  const ProjectedParts<ConstView>& projected() const { return projected_; }
  View y_ti() const { return y_ti_; }

 private:
  const BlockContext& context_;
  const MixerWeights& weights_;
  const MixerForwardArgs& args_;
  ProjectedParts<ConstView> projected_;
  View xbc_tc_;  // after convolution and SiLU
  View y_ti_;    // before gate and norm
};

// The same steps backwards, each reading the gradient that the one before it wrote.
class BackwardPass {
 public:
  BackwardPass(const ForwardPass& forward, const MixerBackwardArgs& args, const MixerWeights& gradients)
      : forward_(forward),
        args_(args),
        gradients_(gradients),
        dprojected_(split_projected(forward.context().config, args.dprojected_tr)) {}

  void out_proj(ConstView gated_ti, View dgated_ti) const {
    ops::linear_backward(backend(), {.x_ti = gated_ti,
                                     .weight_oi = forward_.weights().out_proj_di,
                                     .dy_to = args_.dout_to,
                                     .dx_ti = dgated_ti,
                                     .dweight_oi = gradients_.out_proj_di,
                                     .dbias_o = gradients_.out_proj_bias_d});
  }

  void gate(ConstView dgated_ti, View dy_ti) const {
    const EncoderConfig& config = forward_.context().config;
    ops::gated_rms_norm_backward(backend(), {.x_td = forward_.y_ti(),
                                             .z_td = forward_.projected().z_ti,
                                             .weight_d = forward_.weights().norm_i,
                                             .groups = config.norm_groups,
                                             .order = config.gate_order,
                                             .eps = config.norm_eps,
                                             .dy_td = dgated_ti,
                                             .dx_td = dy_ti,
                                             .dz_td = dprojected_.z_ti,
                                             .dweight_d = gradients_.norm_i});
  }

  void scan(ConstView dy_ti, View dxbc_tc) const {
    const EncoderConfig& config = forward_.context().config;
    const ScanParts<View> dparts = split_scan(config, dxbc_tc);
    ops::ssd_scan_backward(backend(), {.forward = forward_.scan_args(),
                                       .dy_thp = dy_ti.split_last(config.heads()),
                                       .dfinal_state_shpn = args_.dstate_out.ssm_shpn,
                                       .dx_thp = dparts.x_thp,
                                       .ddt_th = dprojected_.dt_th,
                                       .da_log_h = gradients_.a_log_h,
                                       .db_tgn = dparts.b_tgn,
                                       .dc_tgn = dparts.c_tgn,
                                       .dd_h = gradients_.d_h,
                                       .ddt_bias_h = gradients_.dt_bias_h,
                                       .dinitial_state_shpn = args_.dstate_in.ssm_shpn});
  }

  void conv(ConstView dxbc_tc) const {
    const ops::Conv1dArgs forward = forward_.conv_args();
    ops::conv1d_backward(backend(), {.x_tc = forward.x_tc,
                                     .weight_ck = forward.weight_ck,
                                     .bias_c = forward.bias_c,
                                     .seq_begin = forward.seq_begin,
                                     .reverse = forward.reverse,
                                     .silu = forward.silu,
                                     .initial_state_skc = forward.initial_state_skc,
                                     .dy_tc = dxbc_tc,
                                     .dfinal_state_skc = args_.dstate_out.conv_skc,
                                     .dx_tc = dprojected_.xbc_tc,
                                     .dweight_ck = gradients_.conv_ck,
                                     .dbias_c = gradients_.conv_bias_c,
                                     .dinitial_state_skc = args_.dstate_in.conv_skc});
  }

 private:
  Backend& backend() const { return forward_.context().backend; }

  const ForwardPass& forward_;
  const MixerBackwardArgs& args_;
  const MixerWeights& gradients_;
  ProjectedParts<View> dprojected_;
};

}  // namespace

MixerState take_states(const BlockContext& context, std::int64_t count) {
  const EncoderConfig& config = context.config;
  const DType dtype = context.backend.accumulate_dtype();
  return {.conv_skc = context.workspace.take(dtype, {count, config.d_conv - 1, config.conv_channels()}),
          .ssm_shpn = context.workspace.take(dtype, {count, config.heads(), config.headdim, config.d_state})};
}

MixerState state_at(const MixerState& states, std::int64_t index) {
  return {.conv_skc = states.conv_skc.slice(0, index, index + 1),
          .ssm_shpn = states.ssm_shpn.slice(0, index, index + 1)};
}

void mixer_forward(const BlockContext& context, const MixerWeights& weights, const MixerForwardArgs& args) {
  const Workspace::Scope scope(context.workspace);
  ForwardPass pass(context, weights, args);
  pass.run();
  if (!args.out_to) return;
  const View gated_ti = args.kept.gated_ti ? args.kept.gated_ti : pass.y_ti();
  pass.gate(gated_ti);
  ops::linear(context.backend, {.x_ti = gated_ti,
                                .weight_oi = weights.out_proj_di,
                                .bias_o = weights.out_proj_bias_d,
                                .y_to = args.out_to,
                                .accumulate = true});
}

void mixer_backward(const BlockContext& context, const MixerWeights& weights, const MixerBackwardArgs& args,
                    const MixerWeights& gradients) {
  const EncoderConfig& config = context.config;
  const DType dtype = context.backend.dtype();
  const std::int64_t tokens = args.forward.projected_tr.size(0);
  const Workspace::Scope scope(context.workspace);

  ForwardPass forward(context, weights, args.forward);
  const View gated_ti = forward.kept_or_taken(args.forward.kept.gated_ti, config.d_inner());
  if (!args.forward.kept.gated_ti) {
    forward.run();
    forward.gate(gated_ti);
  }

  const BackwardPass backward(forward, args, gradients);
  const View dgated_ti = context.workspace.take(dtype, {tokens, config.d_inner()});
  backward.out_proj(gated_ti, dgated_ti);
  const View dy_ti = gated_ti;  // not read any more
  backward.gate(dgated_ti, dy_ti);
  const View dxbc_tc = context.workspace.take(dtype, {tokens, config.conv_channels()});
  backward.scan(dy_ti, dxbc_tc);
  backward.conv(dxbc_tc);
}

}  // namespace strandline
