#include "core/ref/ref_backend.hpp"

#include "core/base/error.hpp"
#include "core/ref/activation_ref.hpp"
#include "core/ref/adamw_ref.hpp"
#include "core/ref/attention_ref.hpp"
#include "core/ref/conv1d_ref.hpp"
#include "core/ref/cross_entropy_ref.hpp"
#include "core/ref/elementwise_ref.hpp"
#include "core/ref/embedding_ref.hpp"
#include "core/ref/grid_conv_ref.hpp"
#include "core/ref/layer_norm_ref.hpp"
#include "core/ref/linear_ref.hpp"
#include "core/ref/norm_ref.hpp"
#include "core/ref/pool_ref.hpp"
#include "core/ref/pseudo_inverse_ref.hpp"
#include "core/ref/ssd_scan_ref.hpp"

namespace strandline {
namespace {

template <class T>
class RefBackend final : public Backend {
 public:
  std::string name() const override { return "ref"; }
  DType dtype() const override { return dtype_of<T>(); }
  DType accumulate_dtype() const override { return dtype_of<T>(); }
  Memory& memory() override { return memory_; }
  void synchronize() override {}

  void do_linear(const ops::LinearArgs& args) override { ref::linear<T>(args); }
  void do_linear_backward(const ops::LinearBackwardArgs& args) override { ref::linear_backward<T>(args); }
  void do_conv1d(const ops::Conv1dArgs& args) override { ref::conv1d<T>(args); }
  void do_conv1d_backward(const ops::Conv1dBackwardArgs& args) override { ref::conv1d_backward<T>(args); }
  void do_ssd_scan(const ops::SsdScanArgs& args) override { ref::ssd_scan<T>(args); }
  void do_ssd_scan_backward(const ops::SsdScanBackwardArgs& args) override { ref::ssd_scan_backward<T>(args); }
  void do_rms_norm(const ops::RmsNormArgs& args) override { ref::rms_norm<T>(args); }
  void do_rms_norm_backward(const ops::RmsNormBackwardArgs& args) override { ref::rms_norm_backward<T>(args); }
  void do_gated_rms_norm(const ops::GatedRmsNormArgs& args) override { ref::gated_rms_norm<T>(args); }
  void do_gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args) override {
    ref::gated_rms_norm_backward<T>(args);
  }
  void do_layer_norm(const ops::LayerNormArgs& args) override { ref::layer_norm<T>(args); }
  void do_layer_norm_backward(const ops::LayerNormBackwardArgs& args) override { ref::layer_norm_backward<T>(args); }
  void do_activation(const ops::ActivationArgs& args) override { ref::activation<T>(args); }
  void do_activation_backward(const ops::ActivationBackwardArgs& args) override { ref::activation_backward<T>(args); }
  void do_attention(const ops::AttentionArgs& args) override { ref::attention<T>(args); }
  void do_attention_backward(const ops::AttentionBackwardArgs& args) override { ref::attention_backward<T>(args); }
  void do_softmax(const ops::SoftmaxArgs& args) override { ref::softmax<T>(args); }
  void do_softmax_backward(const ops::SoftmaxBackwardArgs& args) override { ref::softmax_backward<T>(args); }
  void do_pseudo_inverse(const ops::PseudoInverseArgs& args) override { ref::pseudo_inverse<T>(args); }
  void do_pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs& args) override {
    ref::pseudo_inverse_backward<T>(args);
  }
  void do_grid_conv(const ops::GridConvArgs& args) override { ref::grid_conv<T>(args); }
  void do_grid_conv_backward(const ops::GridConvBackwardArgs& args) override { ref::grid_conv_backward<T>(args); }
  void do_embedding(const ops::EmbeddingArgs& args) override { ref::embedding<T>(args); }
  void do_embedding_backward(const ops::EmbeddingBackwardArgs& args) override { ref::embedding_backward<T>(args); }
  void do_pool(const ops::PoolArgs& args) override { ref::pool<T>(args); }
  void do_pool_piece(const ops::PoolPieceArgs& args) override { ref::pool_piece<T>(args); }
  void do_pool_backward(const ops::PoolBackwardArgs& args) override { ref::pool_backward<T>(args); }
  void do_attention_pool(const ops::AttentionPoolArgs& args) override { ref::attention_pool<T>(args); }
  void do_attention_pool_backward(const ops::AttentionPoolBackwardArgs& args) override {
    ref::attention_pool_backward<T>(args);
  }
  void do_cross_entropy(const ops::CrossEntropyArgs& args) override { ref::cross_entropy<T>(args); }
  void do_add(ConstView x, View y) override { ref::add<T>(x, y); }
  void do_multiply(ConstView x, View y) override { ref::multiply<T>(x, y); }
  void do_reverse_channels(ConstView x_td, View y_td) override { ref::reverse_channels<T>(x_td, y_td); }
  void do_dropout(const ops::DropoutArgs& args) override { ref::dropout<T>(args); }
  void do_adamw(const ops::AdamwArgs& args) override { ref::adamw<T>(args); }
  double do_sum_of_squares(ConstView x) override { return ref::sum_of_squares<T>(x); }

 private:
  HostMemory memory_;
};

}  // namespace

std::unique_ptr<Backend> make_ref_backend(DType dtype) {
  if (dtype == DType::f64) return std::make_unique<RefBackend<double>>();
  if (dtype == DType::f32) return std::make_unique<RefBackend<float>>();
  throw ContractError("the reference back end computes in f64 or f32, not in " + std::string(name_of(dtype)));
}

}  // namespace strandline
