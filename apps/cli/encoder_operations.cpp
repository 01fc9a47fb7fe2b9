// The operations of an encoder, as cases.
#include "apps/cli/operation_case.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kVocabulary = 16;

struct Made {
  std::shared_ptr<Tensors> tensors;
  std::int64_t rows;
  const EncoderConfig& encoder;

  Made(Backend& backend, const OperationSizes& sizes)
      : tensors(std::make_shared<Tensors>(backend, sizes)), rows(sizes.tokens), encoder(sizes.encoder) {}
  Tensors* operator->() const { return tensors.get(); }
};

double times(std::int64_t a, std::int64_t b, std::int64_t c) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

Operation linear(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t in = made.encoder.d_model;
  const std::int64_t out = made.encoder.in_proj_rows();
  ops::LinearArgs args;
  args.x_ti = made->activation({made.rows, in});
  args.weight_oi = made->weight({out, in});
  args.y_to = made->empty_activation({made.rows, out});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::linear(backend, args); },
          .outputs = {args.y_to},
          .flop = 2.0 * times(made.rows, in, out)};
}

Operation linear_backward(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t in = made.encoder.d_model;
  const std::int64_t out = made.encoder.in_proj_rows();
  ops::LinearBackwardArgs args;
  args.x_ti = made->activation({made.rows, in});
  args.weight_oi = made->weight({out, in});
  args.dy_to = made->activation({made.rows, out});
  args.dx_ti = made->empty_activation({made.rows, in});
  args.dweight_oi = made->gradient({out, in});
  args.dbias_o = made->gradient({out});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::linear_backward(backend, args); },
          .outputs = {args.dx_ti, args.dweight_oi, args.dbias_o},
          .flop = 4.0 * times(made.rows, in, out)};
}

Operation conv1d(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t channels = made.encoder.conv_channels();
  ops::Conv1dArgs args;
  args.x_tc = made->activation({made.rows, channels});
  args.weight_ck = made->weight({channels, made.encoder.d_conv});
  args.bias_c = made->weight({channels});
  args.seq_begin = made->seq_begin();
  args.y_tc = made->empty_activation({made.rows, channels});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::conv1d(backend, args); },
          .outputs = {args.y_tc},
          .flop = 2.0 * times(made.rows, channels, made.encoder.d_conv)};
}

Operation conv1d_backward(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t channels = made.encoder.conv_channels();
  ops::Conv1dBackwardArgs args;
  args.x_tc = made->activation({made.rows, channels});
  args.weight_ck = made->weight({channels, made.encoder.d_conv});
  args.bias_c = made->weight({channels});
  args.seq_begin = made->seq_begin();
  args.dy_tc = made->activation({made.rows, channels});
  args.dx_tc = made->empty_activation({made.rows, channels});
  args.dweight_ck = made->gradient({channels, made.encoder.d_conv});
  args.dbias_c = made->gradient({channels});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::conv1d_backward(backend, args); },
          .outputs = {args.dx_tc, args.dweight_ck, args.dbias_c},
          .flop = 6.0 * times(made.rows, channels, made.encoder.d_conv)};
}

ops::SsdScanArgs scan_args(const Made& made) {
  const EncoderConfig& encoder = made.encoder;
  const Shape x{made.rows, encoder.heads(), encoder.headdim};
  const Shape bc{made.rows, encoder.groups, encoder.d_state};
  ops::SsdScanArgs args;
  args.x_thp = made->activation(x);
  args.dt_th = made->activation({made.rows, encoder.heads()});
  args.a_log_h = made->weight({encoder.heads()}, {0.0, 2.7});
  args.b_tgn = made->activation(bc);
  args.c_tgn = made->activation(bc);
  args.d_h = made->weight({encoder.heads()});
  args.dt_bias_h = made->weight({encoder.heads()}, {-6.0, -2.0});
  args.seq_begin = made->seq_begin();
  args.chunk = encoder.chunk;
  args.y_thp = made->empty_activation(x);
  return args;
}

// The chunked form, see ops::ssd_scan.
double scan_flop(const Made& made) {
  const EncoderConfig& encoder = made.encoder;
  const auto width = static_cast<double>(encoder.headdim);
  const auto state = static_cast<double>(encoder.d_state);
  const auto shared = static_cast<double>(encoder.heads() / encoder.groups);
  return static_cast<double>(made.rows * encoder.heads()) *
         (4.0 * width * state + static_cast<double>(encoder.chunk) * (width + state / shared));
}

Operation ssd_scan(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const ops::SsdScanArgs args = scan_args(made);
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::ssd_scan(backend, args); },
          .outputs = {args.y_thp},
          .flop = scan_flop(made)};
}

Operation ssd_scan_backward(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  ops::SsdScanBackwardArgs args;
  args.forward = scan_args(made);
  const std::int64_t heads = made.encoder.heads();
  args.dy_thp = made->activation(args.forward.x_thp.shape());
  args.dx_thp = made->empty_activation(args.forward.x_thp.shape());
  args.ddt_th = made->empty_activation({made.rows, heads});
  args.da_log_h = made->gradient({heads});
  args.db_tgn = made->empty_activation(args.forward.b_tgn.shape());
  args.dc_tgn = made->empty_activation(args.forward.c_tgn.shape());
  args.dd_h = made->gradient({heads});
  args.ddt_bias_h = made->gradient({heads});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::ssd_scan_backward(backend, args); },
          .outputs = {args.dx_thp, args.ddt_th, args.da_log_h, args.db_tgn, args.dc_tgn, args.dd_h, args.ddt_bias_h}};
}

// The residual stream is in the type of accumulation.
Operation rms_norm(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t width = made.encoder.d_model;
  ops::RmsNormArgs args;
  args.x_td = made->weight({made.rows, width});
  args.weight_d = made->weight({width});
  args.y_td = made->empty_activation({made.rows, width});
  return {.tensors = made.tensors, .run = [&backend, args] { ops::rms_norm(backend, args); }, .outputs = {args.y_td}};
}

Operation rms_norm_backward(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t width = made.encoder.d_model;
  ops::RmsNormBackwardArgs args;
  args.x_td = made->weight({made.rows, width});
  args.weight_d = made->weight({width});
  args.dy_td = made->activation({made.rows, width});
  args.dx_td = made->gradient({made.rows, width});
  args.dweight_d = made->gradient({width});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::rms_norm_backward(backend, args); },
          .outputs = {args.dx_td, args.dweight_d}};
}

Operation gated_rms_norm(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t width = made.encoder.d_inner();
  ops::GatedRmsNormArgs args;
  args.x_td = made->activation({made.rows, width});
  args.z_td = made->activation({made.rows, width});
  args.weight_d = made->weight({width});
  args.y_td = made->empty_activation({made.rows, width});
  return {
      .tensors = made.tensors, .run = [&backend, args] { ops::gated_rms_norm(backend, args); }, .outputs = {args.y_td}};
}

Operation gated_rms_norm_backward(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  const std::int64_t width = made.encoder.d_inner();
  ops::GatedRmsNormBackwardArgs args;
  args.x_td = made->activation({made.rows, width});
  args.z_td = made->activation({made.rows, width});
  args.weight_d = made->weight({width});
  args.dy_td = made->activation({made.rows, width});
  args.dx_td = made->empty_activation({made.rows, width});
  args.dz_td = made->empty_activation({made.rows, width});
  args.dweight_d = made->gradient({width});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::gated_rms_norm_backward(backend, args); },
          .outputs = {args.dx_td, args.dz_td, args.dweight_d}};
}

Operation embedding(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  ops::EmbeddingArgs args;
  args.ids_t = made->ids(made.rows, kVocabulary);
  args.table_vd = made->weight({kVocabulary, made.encoder.d_model});
  args.y_td = made->gradient({made.rows, made.encoder.d_model});
  return {.tensors = made.tensors, .run = [&backend, args] { ops::embedding(backend, args); }, .outputs = {args.y_td}};
}

Operation embedding_backward(Backend& backend, const OperationSizes& sizes) {
  const Made made(backend, sizes);
  ops::EmbeddingBackwardArgs args;
  args.ids_t = made->ids(made.rows, kVocabulary);
  args.dy_td = made->weight({made.rows, made.encoder.d_model});
  args.dtable_vd = made->gradient({kVocabulary, made.encoder.d_model});
  return {.tensors = made.tensors,
          .run = [&backend, args] { ops::embedding_backward(backend, args); },
          .outputs = {args.dtable_vd}};
}

}  // namespace

std::vector<OperationCase> encoder_operations() {
  return {{"linear", linear},
          {"linear backward", linear_backward},
          {"conv1d", conv1d},
          {"conv1d backward", conv1d_backward},
          {"ssd_scan", ssd_scan},
          {"ssd_scan backward", ssd_scan_backward},
          {"rms_norm", rms_norm},
          {"rms_norm backward", rms_norm_backward},
          {"gated_rms_norm", gated_rms_norm},
          {"gated_rms_norm backward", gated_rms_norm_backward},
          {"embedding", embedding},
          {"embedding backward", embedding_backward}};
}

}  // namespace strandline
