#include "core/model/mamba2_block.hpp"

#include "core/backend.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

// Without a norm, a copy: the block may add to the residual stream while its second direction still reads it.
void normalise(const BlockContext& context, const BlockWeights& weights, ConstView residual_td, View normed_td) {
  if (!weights.norm_d) return copy_dense(context.backend.memory(), residual_td, normed_td);
  ops::rms_norm(context.backend,
                {.x_td = residual_td, .weight_d = weights.norm_d, .eps = context.config.norm_eps, .y_td = normed_td});
}

void project(const BlockContext& context, const MixerWeights& weights, ConstView normed_td, View projected_tr) {
  ops::linear(
      context.backend,
      {.x_ti = normed_td, .weight_oi = weights.in_proj_rd, .bias_o = weights.in_proj_bias_r, .y_to = projected_tr});
}

// The channels of the residual stream that a direction writes: all, or its half.
template <class AnyView>
AnyView channels_of(const EncoderConfig& config, const AnyView& residual_td, int direction) {
  const std::int64_t rows = config.out_proj_rows();
  const std::int64_t begin = rows == config.d_model ? 0 : direction * rows;
  return residual_td.slice(1, begin, begin + rows);
}

MixerForwardArgs mixer_args(const BlockForwardArgs& args, ConstView projected_tr, int direction) {
  return {.projected_tr = projected_tr,
          .seq_begin = args.seq_begin,
          .reverse = direction == 1,
          .state_in = args.state_in,
          .state_out = args.state_out,
          .kept = args.kept.mixer[static_cast<std::size_t>(direction)]};
}

// The normed input and the projected rows of each direction: those that are kept, or room to compute them in, which
// serves one direction after the other.
struct Projected {
  View normed_td;
  std::array<View, 2> tr;

  Projected(const BlockContext& context, const BlockWeights& weights, const BlockForwardArgs& args)
      : normed_td(args.kept.normed_td), tr(args.kept.projected_tr) {
    if (args.kept) return;
    const std::int64_t tokens = args.residual_td.size(0);
    const DType dtype = weights.norm_d ? context.backend.dtype() : args.residual_td.dtype();
    normed_td = context.workspace.take(dtype, {tokens, context.config.d_model});
    tr.fill(context.workspace.take(context.backend.dtype(), {tokens, context.config.in_proj_rows()}));
  }
  View of(int direction) const { return tr[static_cast<std::size_t>(direction)]; }
};

bool projects_once(const EncoderConfig& config, DirectionRange directions) {
  return config.tied_projections && directions.end - directions.begin > 1;
}

// From the gradient of one projected tensor to those of in_proj, the norm and the residual stream.
class ProjectionBackward {
 public:
  ProjectionBackward(const BlockContext& context, const BlockWeights& weights, const BlockBackwardArgs& args,
                     View normed_td)
      : context_(context), weights_(weights), args_(args), normed_td_(normed_td) {}

  void run(int direction, ConstView dprojected_tr, const BlockWeights& gradients) const {
    const Workspace::Scope scope(context_.workspace);
    const View dnormed_td = context_.workspace.take(normed_td_.dtype(), normed_td_.shape());
    ops::linear_backward(context_.backend, {.x_ti = normed_td_,
                                            .weight_oi = weights_.direction[direction].in_proj_rd,
                                            .dy_to = dprojected_tr,
                                            .dx_ti = dnormed_td,
                                            .dweight_oi = gradients.direction[direction].in_proj_rd,
                                            .dbias_o = gradients.direction[direction].in_proj_bias_r});
    if (!weights_.norm_d) return ops::add(context_.backend, dnormed_td, args_.dresidual_td);
    ops::rms_norm_backward(context_.backend, {.x_td = args_.forward.residual_td,
                                              .weight_d = weights_.norm_d,
                                              .eps = context_.config.norm_eps,
                                              .dy_td = dnormed_td,
                                              .dx_td = args_.dresidual_td,
                                              .accumulate_dx = true,
                                              .dweight_d = gradients.norm_d});
  }

 private:
  const BlockContext& context_;
  const BlockWeights& weights_;
  const BlockBackwardArgs& args_;
  View normed_td_;
};

}  // namespace

BlockKept BlockKept::rows(std::int64_t begin, std::int64_t end) const {
  BlockKept part;
  if (!*this) return part;
  const auto cut = [&](const View& whole) { return whole ? whole.slice(0, begin, end) : View{}; };
  part.normed_td = cut(normed_td);
  for (std::size_t i = 0; i < mixer.size(); ++i) {
    part.projected_tr[i] = cut(projected_tr[i]);
    part.mixer[i] = {.xbc_tc = cut(mixer[i].xbc_tc), .y_ti = cut(mixer[i].y_ti), .gated_ti = cut(mixer[i].gated_ti)};
  }
  return part;
}

std::int64_t kept_width(const EncoderConfig& config) {
  const std::int64_t directions = config.directions();
  const std::int64_t projections = config.tied_projections ? 1 : directions;
  return config.d_model + projections * config.in_proj_rows() +
         directions * (config.conv_channels() + 2 * config.d_inner());
}

BlockKept take_kept(const BlockContext& context, std::int64_t tokens) {
  const EncoderConfig& config = context.config;
  const auto take = [&](std::int64_t channels) {
    return context.workspace.take(context.backend.dtype(), {tokens, channels});
  };
  BlockKept kept{.normed_td = take(config.d_model)};
  for (int direction = 0; direction < config.directions(); ++direction) {
    const auto i = static_cast<std::size_t>(direction);
    kept.projected_tr[i] = i > 0 && config.tied_projections ? kept.projected_tr[0] : take(config.in_proj_rows());
    kept.mixer[i] = {
        .xbc_tc = take(config.conv_channels()), .y_ti = take(config.d_inner()), .gated_ti = take(config.d_inner())};
  }
  return kept;
}

void block_forward(const BlockContext& context, const BlockWeights& weights, const BlockForwardArgs& args) {
  const EncoderConfig& config = context.config;
  const Workspace::Scope scope(context.workspace);
  const Projected projected(context, weights, args);
  normalise(context, weights, args.residual_td, projected.normed_td);
  for (int direction = args.directions.begin; direction < args.directions.end; ++direction) {
    const MixerWeights& own = weights.direction[direction];
    const bool own_rows = direction == args.directions.begin || !config.tied_projections;
    if (own_rows) project(context, own, projected.normed_td, projected.of(direction));
    MixerForwardArgs mixer = mixer_args(args, projected.of(direction), direction);
    if (args.out_td) mixer.out_to = channels_of(config, args.out_td, direction);
    mixer_forward(context, own, mixer);
  }
}

void block_backward(const BlockContext& context, const BlockWeights& weights, const BlockBackwardArgs& args,
                    const BlockWeights& gradients) {
  const EncoderConfig& config = context.config;
  const DType dtype = context.backend.dtype();
  const DirectionRange directions = args.forward.directions;
  const bool once = projects_once(config, directions);
  const std::int64_t tokens = args.forward.residual_td.size(0);
  const Workspace::Scope scope(context.workspace);
  const Projected projected(context, weights, args.forward);
  const View dprojected_tr = context.workspace.take(dtype, {tokens, config.in_proj_rows()});
  const View dshared_tr = once ? context.workspace.take(dtype, {tokens, config.in_proj_rows()}) : View{};
  const ProjectionBackward projection(context, weights, args, projected.normed_td);
  const bool kept = static_cast<bool>(args.forward.kept);

  if (!kept) normalise(context, weights, args.forward.residual_td, projected.normed_td);
  for (int direction = directions.begin; direction < directions.end; ++direction) {
    const MixerWeights& own = weights.direction[direction];
    const bool first = direction == directions.begin;
    if (!kept && (first || !once)) project(context, own, projected.normed_td, projected.of(direction));
    mixer_backward(context, own,
                   {.forward = mixer_args(args.forward, projected.of(direction), direction),
                    .dout_to = channels_of(config, args.dout_td, direction),
                    .dstate_out = args.dstate_out,
                    .dstate_in = args.dstate_in,
                    .dprojected_tr = once && first ? dshared_tr : dprojected_tr},
                   gradients.direction[direction]);
    if (!once) projection.run(direction, dprojected_tr, gradients);
    if (once && !first) ops::add(context.backend, dprojected_tr, dshared_tr);
  }
  if (once) projection.run(directions.begin, dshared_tr, gradients);
}

}  // namespace strandline
