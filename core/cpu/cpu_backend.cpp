#include "core/cpu/cpu_backend.hpp"

#include <sched.h>

#include <algorithm>
#include <vector>

#include "core/cpu/activation_cpu.hpp"
#include "core/cpu/adamw_cpu.hpp"
#include "core/cpu/attention_cpu.hpp"
#include "core/cpu/conv1d_cpu.hpp"
#include "core/cpu/cpu_context.hpp"
#include "core/cpu/cross_entropy_cpu.hpp"
#include "core/cpu/elementwise_cpu.hpp"
#include "core/cpu/embedding_cpu.hpp"
#include "core/cpu/grid_conv_cpu.hpp"
#include "core/cpu/layer_norm_cpu.hpp"
#include "core/cpu/linear_cpu.hpp"
#include "core/cpu/norm_cpu.hpp"
#include "core/cpu/pool_cpu.hpp"
#include "core/cpu/pseudo_inverse_cpu.hpp"
#include "core/cpu/ssd_scan_backward_cpu.hpp"
#include "core/cpu/ssd_scan_cpu.hpp"

namespace strandline {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : team_(options.threads == 0 ? available_threads() : options.threads),
        scratch_(scratch_for(memory_, team_.threads())),
        context_{.isa = options.isa, .simd = cpu::simd_table(options.isa), .team = team_, .scratch = scratch_} {}

  std::string name() const override { return "cpu"; }
  DType dtype() const override { return DType::f32; }
  DType accumulate_dtype() const override { return DType::f32; }
  Memory& memory() override { return memory_; }
  void synchronize() override {}

  void do_linear(const ops::LinearArgs& args) override { cpu::linear(context_, args); }
  void do_linear_backward(const ops::LinearBackwardArgs& args) override { cpu::linear_backward(context_, args); }
  void do_conv1d(const ops::Conv1dArgs& args) override { cpu::conv1d(context_, args); }
  void do_conv1d_backward(const ops::Conv1dBackwardArgs& args) override { cpu::conv1d_backward(context_, args); }
  void do_ssd_scan(const ops::SsdScanArgs& args) override { cpu::ssd_scan(context_, args); }
  void do_ssd_scan_backward(const ops::SsdScanBackwardArgs& args) override { cpu::ssd_scan_backward(context_, args); }
  void do_rms_norm(const ops::RmsNormArgs& args) override { cpu::rms_norm(context_, args); }
  void do_rms_norm_backward(const ops::RmsNormBackwardArgs& args) override { cpu::rms_norm_backward(context_, args); }
  void do_gated_rms_norm(const ops::GatedRmsNormArgs& args) override { cpu::gated_rms_norm(context_, args); }
  void do_gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args) override {
    cpu::gated_rms_norm_backward(context_, args);
  }
  void do_layer_norm(const ops::LayerNormArgs& args) override { cpu::layer_norm(context_, args); }
  void do_layer_norm_backward(const ops::LayerNormBackwardArgs& args) override {
    cpu::layer_norm_backward(context_, args);
  }
  void do_activation(const ops::ActivationArgs& args) override { cpu::activation(context_, args); }
  void do_activation_backward(const ops::ActivationBackwardArgs& args) override {
    cpu::activation_backward(context_, args);
  }
  void do_attention(const ops::AttentionArgs& args) override { cpu::attention(context_, args); }
  void do_attention_backward(const ops::AttentionBackwardArgs& args) override {
    cpu::attention_backward(context_, args);
  }
  void do_softmax(const ops::SoftmaxArgs& args) override { cpu::softmax(context_, args); }
  void do_softmax_backward(const ops::SoftmaxBackwardArgs& args) override { cpu::softmax_backward(context_, args); }
  void do_pseudo_inverse(const ops::PseudoInverseArgs& args) override { cpu::pseudo_inverse(context_, args); }
  void do_pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs& args) override {
    cpu::pseudo_inverse_backward(context_, args);
  }
  void do_grid_conv(const ops::GridConvArgs& args) override { cpu::grid_conv(context_, args); }
  void do_grid_conv_backward(const ops::GridConvBackwardArgs& args) override {
    cpu::grid_conv_backward(context_, args);
  }
  void do_embedding(const ops::EmbeddingArgs& args) override { cpu::embedding(context_, args); }
  void do_embedding_backward(const ops::EmbeddingBackwardArgs& args) override {
    cpu::embedding_backward(context_, args);
  }
  void do_pool(const ops::PoolArgs& args) override { cpu::pool(context_, args); }
  void do_pool_piece(const ops::PoolPieceArgs& args) override { cpu::pool_piece(context_, args); }
  void do_pool_backward(const ops::PoolBackwardArgs& args) override { cpu::pool_backward(context_, args); }
  void do_attention_pool(const ops::AttentionPoolArgs& args) override { cpu::attention_pool(context_, args); }
  void do_attention_pool_backward(const ops::AttentionPoolBackwardArgs& args) override {
    cpu::attention_pool_backward(context_, args);
  }
  void do_cross_entropy(const ops::CrossEntropyArgs& args) override { cpu::cross_entropy(context_, args); }
  void do_add(ConstView x, View y) override { cpu::add(context_, x, y); }
  void do_multiply(ConstView x, View y) override { cpu::multiply(context_, x, y); }
  void do_reverse_channels(ConstView x_td, View y_td) override { cpu::reverse_channels(context_, x_td, y_td); }
  void do_dropout(const ops::DropoutArgs& args) override { cpu::dropout(context_, args); }
  void do_adamw(const ops::AdamwArgs& args) override { cpu::adamw(context_, args); }
  double do_sum_of_squares(ConstView x) override { return cpu::sum_of_squares(context_, x); }

 private:
  static std::vector<Workspace> scratch_for(Memory& memory, int threads) {
    std::vector<Workspace> scratch;
    for (int worker = 0; worker < threads; ++worker) scratch.emplace_back(memory);
    return scratch;
  }

  HostMemory memory_;
  ThreadTeam team_;
  std::vector<Workspace> scratch_;
  cpu::CpuContext context_;
};

}  // namespace

int available_threads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  return std::max(1, CPU_COUNT(&allowed));
}

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) { return std::make_unique<CpuBackend>(options); }

}  // namespace strandline
