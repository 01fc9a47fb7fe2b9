// Pooling, loss, optimiser and the operations of slide aggregators, as cases.
#include "apps/cli/operation_case.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kClasses = 5;
constexpr std::int64_t kLandmarks = 16;
constexpr std::int64_t kGridColumns = 7;

std::shared_ptr<Tensors> tensors_of(Backend& backend, const OperationSizes& sizes) {
  return std::make_shared<Tensors>(backend, sizes);
}

Operation layer_norm(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens, sizes.encoder.d_model};
  const ops::LayerNormArgs args{.x_td = made->weight(shape),
                                .weight_d = made->weight({shape[1]}),
                                .bias_d = made->weight({shape[1]}),
                                .y_td = made->empty_activation(shape)};
  return {.tensors = made, .run = [&backend, args] { ops::layer_norm(backend, args); }, .outputs = {args.y_td}};
}

Operation layer_norm_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens, sizes.encoder.d_model};
  const ops::LayerNormBackwardArgs args{.x_td = made->weight(shape),
                                        .weight_d = made->weight({shape[1]}),
                                        .dy_td = made->activation(shape),
                                        .dx_td = made->gradient(shape),
                                        .dweight_d = made->gradient({shape[1]}),
                                        .dbias_d = made->gradient({shape[1]})};
  return {.tensors = made,
          .run = [&backend, args] { ops::layer_norm_backward(backend, args); },
          .outputs = {args.dx_td, args.dweight_d, args.dbias_d}};
}

Operation gelu(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens, sizes.encoder.d_model};
  const ops::ActivationArgs args{
      .x_td = made->activation(shape), .kind = ops::ActivationKind::gelu, .y_td = made->empty_activation(shape)};
  return {.tensors = made, .run = [&backend, args] { ops::activation(backend, args); }, .outputs = {args.y_td}};
}

Operation gelu_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens, sizes.encoder.d_model};
  const ops::ActivationBackwardArgs args{.x_td = made->activation(shape),
                                         .kind = ops::ActivationKind::gelu,
                                         .dy_td = made->activation(shape),
                                         .dx_td = made->empty_activation(shape)};
  return {
      .tensors = made, .run = [&backend, args] { ops::activation_backward(backend, args); }, .outputs = {args.dx_td}};
}

Operation softmax(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens, sizes.encoder.d_model};
  const ops::SoftmaxArgs args{.x_tc = made->activation(shape), .y_tc = made->empty_activation(shape)};
  return {.tensors = made, .run = [&backend, args] { ops::softmax(backend, args); }, .outputs = {args.y_tc}};
}

Operation softmax_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens, sizes.encoder.d_model};
  const ops::SoftmaxBackwardArgs args{.y_tc = made->activation(shape, {0.0, 2.0 / static_cast<double>(shape[1])}),
                                      .dy_tc = made->activation(shape),
                                      .dx_tc = made->empty_activation(shape)};
  return {.tensors = made, .run = [&backend, args] { ops::softmax_backward(backend, args); }, .outputs = {args.dx_tc}};
}

ops::AttentionArgs attention_args(Tensors& tensors, const OperationSizes& sizes) {
  const Shape shape{sizes.tokens, sizes.encoder.heads(), sizes.encoder.headdim};
  return {.q_thp = tensors.activation(shape),
          .k_uhp = tensors.activation(shape),
          .v_uhp = tensors.activation(shape),
          .query_begin = tensors.seq_begin(),
          .key_begin = tensors.seq_begin(),
          .scale = 0.125,
          .y_thp = tensors.empty_activation(shape),
          .log_sum_th = tensors.gradient({sizes.tokens, sizes.encoder.heads()})};
}

Operation attention(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const ops::AttentionArgs args = attention_args(*made, sizes);
  return {.tensors = made,
          .run = [&backend, args] { ops::attention(backend, args); },
          .outputs = {args.y_thp, args.log_sum_th}};
}

Operation attention_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  ops::AttentionBackwardArgs args;
  args.forward = attention_args(*made, sizes);
  const Shape shape = args.forward.q_thp.shape();
  args.dy_thp = made->activation(shape);
  args.dq_thp = made->empty_activation(shape);
  args.dk_uhp = made->empty_activation(shape);
  args.dv_uhp = made->empty_activation(shape);
  return {.tensors = made,
          .run =
              [&backend, args] {
                ops::attention(backend, args.forward);
                ops::attention_backward(backend, args);
              },
          .outputs = {args.dq_thp, args.dk_uhp, args.dv_uhp}};
}

// Rows that sum to about one, as the attention between landmarks has.
View landmarks(Tensors& tensors, const OperationSizes& sizes) {
  return tensors.weight({sizes.encoder.heads(), kLandmarks, kLandmarks}, {0.0, 2.0 / static_cast<double>(kLandmarks)});
}

Operation pseudo_inverse(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const View a_hmm = landmarks(*made, sizes);
  const ops::PseudoInverseArgs args{.a_hmm = a_hmm, .iterations = 2, .z_hmm = made->gradient(a_hmm.shape())};
  return {.tensors = made, .run = [&backend, args] { ops::pseudo_inverse(backend, args); }, .outputs = {args.z_hmm}};
}

Operation pseudo_inverse_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const View a_hmm = landmarks(*made, sizes);
  const ops::PseudoInverseBackwardArgs args{
      .a_hmm = a_hmm, .iterations = 2, .dz_hmm = made->weight(a_hmm.shape()), .da_hmm = made->gradient(a_hmm.shape())};
  return {.tensors = made,
          .run = [&backend, args] { ops::pseudo_inverse_backward(backend, args); },
          .outputs = {args.da_hmm}};
}

Operation grid_conv(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const std::int64_t width = sizes.encoder.d_model;
  const Shape shape{sizes.tokens / kGridColumns * kGridColumns, width};
  const ops::GridConvArgs args{.x_td = made->activation(shape),
                               .weight_gkl = made->weight({width, 3, 3}),
                               .bias_d = made->weight({width}),
                               .columns = kGridColumns,
                               .y_td = made->empty_activation(shape)};
  return {.tensors = made, .run = [&backend, args] { ops::grid_conv(backend, args); }, .outputs = {args.y_td}};
}

Operation grid_conv_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const std::int64_t width = sizes.encoder.d_model;
  const Shape shape{sizes.tokens / kGridColumns * kGridColumns, width};
  const ops::GridConvBackwardArgs args{.x_td = made->activation(shape),
                                       .weight_gkl = made->weight({width, 3, 3}),
                                       .columns = kGridColumns,
                                       .dy_td = made->activation(shape),
                                       .dx_td = made->empty_activation(shape),
                                       .dweight_gkl = made->gradient({width, 3, 3}),
                                       .dbias_d = made->gradient({width})};
  return {.tensors = made,
          .run = [&backend, args] { ops::grid_conv_backward(backend, args); },
          .outputs = {args.dx_td, args.dweight_gkl, args.dbias_d}};
}

Operation pool(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const std::int64_t width = sizes.encoder.d_model;
  const ops::PoolArgs args{.x_td = made->weight({sizes.tokens, width}),
                           .seq_begin = made->seq_begin(),
                           .kind = ops::PoolKind::mean,
                           .y_sd = made->gradient({made->sequences(), width})};
  return {.tensors = made, .run = [&backend, args] { ops::pool(backend, args); }, .outputs = {args.y_sd}};
}

Operation pool_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const std::int64_t width = sizes.encoder.d_model;
  const ops::PoolBackwardArgs args{.x_td = made->weight({sizes.tokens, width}),
                                   .seq_begin = made->seq_begin(),
                                   .kind = ops::PoolKind::max,
                                   .dy_sd = made->weight({made->sequences(), width}),
                                   .dx_td = made->gradient({sizes.tokens, width})};
  return {.tensors = made, .run = [&backend, args] { ops::pool_backward(backend, args); }, .outputs = {args.dx_td}};
}

Operation attention_pool(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const std::int64_t width = sizes.encoder.d_model;
  const ops::AttentionPoolArgs args{.x_td = made->weight({sizes.tokens, width}),
                                    .score_t = made->weight({sizes.tokens}),
                                    .seq_begin = made->seq_begin(),
                                    .y_sd = made->gradient({made->sequences(), width}),
                                    .weight_t = made->gradient({sizes.tokens})};
  return {.tensors = made,
          .run = [&backend, args] { ops::attention_pool(backend, args); },
          .outputs = {args.y_sd, args.weight_t}};
}

Operation attention_pool_backward(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const std::int64_t width = sizes.encoder.d_model;
  const ops::AttentionPoolBackwardArgs args{.x_td = made->weight({sizes.tokens, width}),
                                            .weight_t = made->weight({sizes.tokens}, {0.0, 0.02}),
                                            .seq_begin = made->seq_begin(),
                                            .dy_sd = made->weight({made->sequences(), width}),
                                            .dx_td = made->gradient({sizes.tokens, width}),
                                            .dscore_t = made->gradient({sizes.tokens})};
  return {.tensors = made,
          .run = [&backend, args] { ops::attention_pool_backward(backend, args); },
          .outputs = {args.dx_td, args.dscore_t}};
}

Operation cross_entropy(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const ops::CrossEntropyArgs args{.logits_sc = made->weight({sizes.tokens, kClasses}),
                                   .label_s = made->ids(sizes.tokens, kClasses),
                                   .label_smoothing = 0.1,
                                   .scale = 0.01,
                                   .loss_s = made->gradient({sizes.tokens}),
                                   .dlogits_sc = made->gradient({sizes.tokens, kClasses})};
  return {.tensors = made,
          .run = [&backend, args] { ops::cross_entropy(backend, args); },
          .outputs = {args.loss_s, args.dlogits_sc}};
}

Operation adamw(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens * sizes.encoder.d_model};
  const ops::AdamwArgs args{.param_n = made->weight(shape),
                            .grad_n = made->weight(shape),
                            .m_n = made->weight(shape),
                            .v_n = made->weight(shape, {0.0, 1.0}),
                            .learning_rate = 1e-2,
                            .weight_decay = 0.1,
                            .grad_scale = 0.5,
                            .step = 3};
  return {.tensors = made,
          .run = [&backend, args] { ops::adamw(backend, args); },
          .outputs = {args.param_n, args.m_n, args.v_n}};
}

Operation sum_of_squares(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const View x = made->weight({sizes.tokens * sizes.encoder.d_model});
  const auto number = std::make_shared<double>();
  return {
      .tensors = made, .run = [&backend, x, number] { *number = ops::sum_of_squares(backend, x); }, .number = number};
}

Operation dropout(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const Shape shape{sizes.tokens, sizes.encoder.d_model};
  const ops::DropoutArgs args{
      .x_td = made->activation(shape), .p = 0.3, .seed = 7, .stream = 2, .y_td = made->empty_activation(shape)};
  return {.tensors = made, .run = [&backend, args] { ops::dropout(backend, args); }, .outputs = {args.y_td}};
}

Operation add(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const View x = made->weight({sizes.tokens, sizes.encoder.d_model});
  const View y = made->weight({sizes.tokens, sizes.encoder.d_model});
  return {.tensors = made, .run = [&backend, x, y] { ops::add(backend, x, y); }, .outputs = {y}};
}

Operation multiply(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const View x = made->weight({sizes.tokens, sizes.encoder.d_model});
  const View y = made->weight({sizes.tokens, sizes.encoder.d_model});
  return {.tensors = made, .run = [&backend, x, y] { ops::multiply(backend, x, y); }, .outputs = {y}};
}

Operation reverse_channels(Backend& backend, const OperationSizes& sizes) {
  const auto made = tensors_of(backend, sizes);
  const View x = made->activation({sizes.tokens, sizes.encoder.d_model});
  const View y = made->empty_activation(x.shape());
  return {.tensors = made, .run = [&backend, x, y] { ops::reverse_channels(backend, x, y); }, .outputs = {y}};
}

}  // namespace

std::vector<OperationCase> other_operations() {
  return {{"layer_norm", layer_norm},
          {"layer_norm backward", layer_norm_backward},
          {"activation", gelu},
          {"activation backward", gelu_backward},
          {"softmax", softmax},
          {"softmax backward", softmax_backward},
          {"attention", attention},
          {"attention backward", attention_backward},
          {"pseudo_inverse", pseudo_inverse},
          {"pseudo_inverse backward", pseudo_inverse_backward},
          {"grid_conv", grid_conv},
          {"grid_conv backward", grid_conv_backward},
          {"pool", pool},
          {"pool backward", pool_backward},
          {"attention_pool", attention_pool},
          {"attention_pool backward", attention_pool_backward},
          {"cross_entropy", cross_entropy},
          {"adamw", adamw},
          {"sum_of_squares", sum_of_squares},
          {"dropout", dropout},
          {"add", add},
          {"multiply", multiply},
          {"reverse_channels", reverse_channels}};
}

}  // namespace strandline
