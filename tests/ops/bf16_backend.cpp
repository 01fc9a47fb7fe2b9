#include "tests/ops/bf16_backend.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "core/ref/ref_backend.hpp"
#include "core/ref/ssd_scan_chunked_ref.hpp"

namespace strandline::test {
namespace {

/// Calls body(offset) for every element in row-major order.
template <class Body>
void for_each_offset(const ConstView& view, const Body& body) {
  std::array<std::int64_t, kMaxRank> size;
  std::array<std::int64_t, kMaxRank> step{};
  size.fill(1);
  for (int axis = 0; axis < view.rank(); ++axis) {
    const auto place = static_cast<std::size_t>(kMaxRank - view.rank() + axis);
    size[place] = view.size(axis);
    step[place] = view.stride(axis);
  }
  for (std::int64_t i = 0; i < size[0]; ++i) {
    for (std::int64_t j = 0; j < size[1]; ++j) {
      for (std::int64_t k = 0; k < size[2]; ++k) {
        for (std::int64_t l = 0; l < size[3]; ++l) body(i * step[0] + j * step[1] + k * step[2] + l * step[3]);
      }
    }
  }
}

/// The tensors of one call in float. Those that hold bf16 become dense copies, and the copies of outputs are rounded
/// and written back at the end; all others pass as they are.
class FloatCopies {
 public:
  FloatCopies() = default;
  FloatCopies(const FloatCopies&) = delete;
  FloatCopies& operator=(const FloatCopies&) = delete;
  ~FloatCopies() {
    for (const Output& output : outputs_) {
      std::size_t next = 0;
      for_each_offset(output.view,
                      [&](std::int64_t offset) { output.view.as<Bf16>()[offset] = to_bf16((*output.values)[next++]); });
    }
  }

  ConstView in(const ConstView& view) { return view && view.dtype() == DType::bf16 ? copy_of(view) : view; }

  /// Rounded, whatever it holds.
  ConstView operand(const ConstView& view) {
    if (!view || view.dtype() == DType::bf16) return in(view);
    std::vector<float>& values = copies_.emplace_back();
    for_each_offset(view, [&](std::int64_t offset) { values.push_back(to_float(to_bf16(view.as<float>()[offset]))); });
    return {values.data(), DType::f32, view.shape()};
  }

  View out(const View& view) {
    if (!view || view.dtype() != DType::bf16) return view;
    const View copy = copy_of(view);
    outputs_.push_back({view, &copies_.back()});
    return copy;
  }

 private:
  struct Output {
    View view;
    const std::vector<float>* values;
  };

  View copy_of(const ConstView& view) {
    std::vector<float>& values = copies_.emplace_back();
    values.reserve(static_cast<std::size_t>(view.elements()));
    for_each_offset(view, [&](std::int64_t offset) { values.push_back(to_float(view.as<Bf16>()[offset])); });
    return {values.data(), DType::f32, view.shape()};
  }

  std::deque<std::vector<float>> copies_;  // stay where they are
  std::vector<Output> outputs_;
};

class Bf16Storage : public Backend {
 public:
  explicit Bf16Storage(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  std::string name() const override { return "bf16 on " + inner_->name(); }
  DType dtype() const override { return DType::bf16; }
  DType accumulate_dtype() const override { return DType::f32; }
  Memory& memory() override { return inner_->memory(); }
  void synchronize() override { inner_->synchronize(); }

  void do_linear(const ops::LinearArgs& args) override {
    FloatCopies copies;
    inner_->do_linear({.x_ti = copies.operand(args.x_ti),
                       .weight_oi = copies.operand(args.weight_oi),
                       .bias_o = args.bias_o,
                       .y_to = copies.out(args.y_to),
                       .accumulate = args.accumulate});
  }
  void do_linear_backward(const ops::LinearBackwardArgs& args) override {
    FloatCopies copies;
    inner_->do_linear_backward({.x_ti = copies.operand(args.x_ti),
                                .weight_oi = copies.operand(args.weight_oi),
                                .dy_to = copies.operand(args.dy_to),
                                .dx_ti = copies.out(args.dx_ti),
                                .dweight_oi = args.dweight_oi,
                                .dbias_o = args.dbias_o});
  }
  void do_conv1d(const ops::Conv1dArgs& args) override {
    FloatCopies copies;
    ops::Conv1dArgs plain = args;
    plain.x_tc = copies.in(args.x_tc);
    plain.y_tc = copies.out(args.y_tc);
    inner_->do_conv1d(plain);
  }
  void do_conv1d_backward(const ops::Conv1dBackwardArgs& args) override {
    FloatCopies copies;
    ops::Conv1dBackwardArgs plain = args;
    plain.x_tc = copies.in(args.x_tc);
    plain.dy_tc = copies.in(args.dy_tc);
    plain.dx_tc = copies.out(args.dx_tc);
    inner_->do_conv1d_backward(plain);
  }
  void do_ssd_scan(const ops::SsdScanArgs& args) override {
    FloatCopies copies;
    scan(scan_args(copies, args));
  }
  void do_ssd_scan_backward(const ops::SsdScanBackwardArgs& args) override {
    FloatCopies copies;
    ops::SsdScanBackwardArgs plain = args;
    plain.forward = scan_args(copies, args.forward);
    plain.dy_thp = copies.in(args.dy_thp);
    plain.dx_thp = copies.out(args.dx_thp);
    plain.ddt_th = copies.out(args.ddt_th);
    plain.db_tgn = copies.out(args.db_tgn);
    plain.dc_tgn = copies.out(args.dc_tgn);
    scan_backward(plain);
  }
  void do_rms_norm(const ops::RmsNormArgs& args) override {
    FloatCopies copies;
    ops::RmsNormArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.y_td = copies.out(args.y_td);
    inner_->do_rms_norm(plain);
  }
  void do_rms_norm_backward(const ops::RmsNormBackwardArgs& args) override {
    FloatCopies copies;
    ops::RmsNormBackwardArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.dy_td = copies.in(args.dy_td);
    plain.dx_td = copies.out(args.dx_td);
    inner_->do_rms_norm_backward(plain);
  }
  void do_gated_rms_norm(const ops::GatedRmsNormArgs& args) override {
    FloatCopies copies;
    ops::GatedRmsNormArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.z_td = copies.in(args.z_td);
    plain.y_td = copies.out(args.y_td);
    inner_->do_gated_rms_norm(plain);
  }
  void do_gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args) override {
    FloatCopies copies;
    ops::GatedRmsNormBackwardArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.z_td = copies.in(args.z_td);
    plain.dy_td = copies.in(args.dy_td);
    plain.dx_td = copies.out(args.dx_td);
    plain.dz_td = copies.out(args.dz_td);
    inner_->do_gated_rms_norm_backward(plain);
  }
  void do_layer_norm(const ops::LayerNormArgs& args) override {
    FloatCopies copies;
    ops::LayerNormArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.y_td = copies.out(args.y_td);
    inner_->do_layer_norm(plain);
  }
  void do_layer_norm_backward(const ops::LayerNormBackwardArgs& args) override {
    FloatCopies copies;
    ops::LayerNormBackwardArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.dy_td = copies.in(args.dy_td);
    plain.dx_td = copies.out(args.dx_td);
    inner_->do_layer_norm_backward(plain);
  }
  void do_activation(const ops::ActivationArgs& args) override {
    FloatCopies copies;
    inner_->do_activation({.x_td = copies.in(args.x_td), .kind = args.kind, .y_td = copies.out(args.y_td)});
  }
  void do_activation_backward(const ops::ActivationBackwardArgs& args) override {
    FloatCopies copies;
    inner_->do_activation_backward({.x_td = copies.in(args.x_td),
                                    .kind = args.kind,
                                    .dy_td = copies.in(args.dy_td),
                                    .dx_td = copies.out(args.dx_td)});
  }
  void do_attention(const ops::AttentionArgs& args) override {
    FloatCopies copies;
    inner_->do_attention(attention_args(copies, args));
  }
  void do_attention_backward(const ops::AttentionBackwardArgs& args) override {
    FloatCopies copies;
    ops::AttentionBackwardArgs plain = args;
    plain.forward = attention_args(copies, args.forward);
    plain.dy_thp = copies.in(args.dy_thp);
    plain.dq_thp = copies.out(args.dq_thp);
    plain.dk_uhp = copies.out(args.dk_uhp);
    plain.dv_uhp = copies.out(args.dv_uhp);
    inner_->do_attention_backward(plain);
  }
  void do_softmax(const ops::SoftmaxArgs& args) override {
    FloatCopies copies;
    inner_->do_softmax({.x_tc = copies.in(args.x_tc), .scale = args.scale, .y_tc = copies.out(args.y_tc)});
  }
  void do_softmax_backward(const ops::SoftmaxBackwardArgs& args) override {
    FloatCopies copies;
    inner_->do_softmax_backward({.y_tc = copies.in(args.y_tc),
                                 .scale = args.scale,
                                 .dy_tc = copies.in(args.dy_tc),
                                 .dx_tc = copies.out(args.dx_tc)});
  }
  void do_pseudo_inverse(const ops::PseudoInverseArgs& args) override {
    FloatCopies copies;
    inner_->do_pseudo_inverse(
        {.a_hmm = copies.in(args.a_hmm), .iterations = args.iterations, .z_hmm = copies.out(args.z_hmm)});
  }
  void do_pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs& args) override {
    FloatCopies copies;
    inner_->do_pseudo_inverse_backward({.a_hmm = copies.in(args.a_hmm),
                                        .iterations = args.iterations,
                                        .dz_hmm = copies.in(args.dz_hmm),
                                        .da_hmm = copies.out(args.da_hmm)});
  }
  void do_grid_conv(const ops::GridConvArgs& args) override {
    FloatCopies copies;
    ops::GridConvArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.y_td = copies.out(args.y_td);
    inner_->do_grid_conv(plain);
  }
  void do_grid_conv_backward(const ops::GridConvBackwardArgs& args) override {
    FloatCopies copies;
    ops::GridConvBackwardArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.dy_td = copies.in(args.dy_td);
    plain.dx_td = copies.out(args.dx_td);
    inner_->do_grid_conv_backward(plain);
  }
  void do_embedding(const ops::EmbeddingArgs& args) override {
    FloatCopies copies;
    inner_->do_embedding({.ids_t = args.ids_t, .table_vd = args.table_vd, .y_td = copies.out(args.y_td)});
  }
  void do_embedding_backward(const ops::EmbeddingBackwardArgs& args) override {
    FloatCopies copies;
    inner_->do_embedding_backward({.ids_t = args.ids_t, .dy_td = copies.in(args.dy_td), .dtable_vd = args.dtable_vd});
  }
  void do_pool(const ops::PoolArgs& args) override {
    FloatCopies copies;
    ops::PoolArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.y_sd = copies.out(args.y_sd);
    inner_->do_pool(plain);
  }
  void do_pool_piece(const ops::PoolPieceArgs& args) override {
    FloatCopies copies;
    ops::PoolPieceArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    if (args.y_sd) plain.y_sd = copies.out(args.y_sd);
    inner_->do_pool_piece(plain);
  }
  void do_pool_backward(const ops::PoolBackwardArgs& args) override {
    FloatCopies copies;
    ops::PoolBackwardArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.dy_sd = copies.in(args.dy_sd);
    plain.dx_td = copies.out(args.dx_td);
    inner_->do_pool_backward(plain);
  }
  void do_attention_pool(const ops::AttentionPoolArgs& args) override {
    FloatCopies copies;
    ops::AttentionPoolArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.score_t = copies.in(args.score_t);
    plain.y_sd = copies.out(args.y_sd);
    plain.weight_t = copies.out(args.weight_t);
    inner_->do_attention_pool(plain);
  }
  void do_attention_pool_backward(const ops::AttentionPoolBackwardArgs& args) override {
    FloatCopies copies;
    ops::AttentionPoolBackwardArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.weight_t = copies.in(args.weight_t);
    plain.dy_sd = copies.in(args.dy_sd);
    plain.dx_td = copies.out(args.dx_td);
    plain.dscore_t = copies.out(args.dscore_t);
    inner_->do_attention_pool_backward(plain);
  }
  void do_cross_entropy(const ops::CrossEntropyArgs& args) override { inner_->do_cross_entropy(args); }
  void do_add(ConstView x, View y) override {
    FloatCopies copies;
    inner_->do_add(copies.in(x), copies.out(y));
  }
  void do_multiply(ConstView x, View y) override {
    FloatCopies copies;
    inner_->do_multiply(copies.in(x), copies.out(y));
  }
  void do_reverse_channels(ConstView x_td, View y_td) override {
    FloatCopies copies;
    inner_->do_reverse_channels(copies.in(x_td), copies.out(y_td));
  }
  void do_dropout(const ops::DropoutArgs& args) override {
    FloatCopies copies;
    ops::DropoutArgs plain = args;
    plain.x_td = copies.in(args.x_td);
    plain.y_td = copies.out(args.y_td);
    inner_->do_dropout(plain);
  }
  void do_adamw(const ops::AdamwArgs& args) override { inner_->do_adamw(args); }
  double do_sum_of_squares(ConstView x) override { return inner_->do_sum_of_squares(x); }

 protected:
  virtual void scan(const ops::SsdScanArgs& args) { inner_->do_ssd_scan(args); }
  virtual void scan_backward(const ops::SsdScanBackwardArgs& args) { inner_->do_ssd_scan_backward(args); }

 private:
  static ops::SsdScanArgs scan_args(FloatCopies& copies, const ops::SsdScanArgs& args) {
    ops::SsdScanArgs plain = args;
    plain.x_thp = copies.in(args.x_thp);
    plain.dt_th = copies.in(args.dt_th);
    plain.b_tgn = copies.in(args.b_tgn);
    plain.c_tgn = copies.in(args.c_tgn);
    plain.y_thp = copies.out(args.y_thp);
    return plain;
  }
  static ops::AttentionArgs attention_args(FloatCopies& copies, const ops::AttentionArgs& args) {
    ops::AttentionArgs plain = args;
    plain.q_thp = copies.in(args.q_thp);
    plain.k_uhp = copies.in(args.k_uhp);
    plain.v_uhp = copies.in(args.v_uhp);
    plain.y_thp = copies.out(args.y_thp);
    return plain;
  }

  std::unique_ptr<Backend> inner_;
};

class PlainBf16 final : public Bf16Storage {
 public:
  PlainBf16() : Bf16Storage(make_ref_backend(DType::f32)) {}

 private:
  void scan(const ops::SsdScanArgs& args) override { ref::ssd_scan_chunked_bf16(args); }
  void scan_backward(const ops::SsdScanBackwardArgs& args) override { ref::ssd_scan_chunked_backward_bf16(args); }
};

}  // namespace

std::unique_ptr<Backend> make_bf16_storage_backend(std::unique_ptr<Backend> inner) {
  return std::make_unique<Bf16Storage>(std::move(inner));
}

std::unique_ptr<Backend> make_plain_bf16_backend() { return std::make_unique<PlainBf16>(); }

}  // namespace strandline::test
