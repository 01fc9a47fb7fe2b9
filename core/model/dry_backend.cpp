#include "core/model/dry_backend.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "core/base/checked.hpp"

namespace strandline {
namespace {

using ops::OperationKind;

// A card keeps the offsets of its last packs.
constexpr std::int64_t kOffsetSets = 8;

class DryMemory final : public Memory {
 public:
  explicit DryMemory(std::int64_t step_bytes) : step_bytes_(step_bytes) {}

  Device device() const noexcept override { return {DeviceKind::cuda, 0}; }
  void* allocate(std::size_t size_bytes) override {
    const std::int64_t bytes = rounded(size_bytes);
    held_bytes_ += bytes;
    peak_bytes_ = std::max(peak_bytes_, held_bytes_);
    // Never the same twice, so that tensors of one pass are apart.
    const std::uintptr_t address = next_;
    next_ += static_cast<std::uintptr_t>(round_up(bytes, kAlignment) + kAlignment);
    return reinterpret_cast<void*>(address);
  }
  void deallocate(void*, std::size_t size_bytes) noexcept override { held_bytes_ -= rounded(size_bytes); }
  void upload(void*, const void*, std::size_t) override {}
  void download(void* to_host, const void*, std::size_t size_bytes) override {
    if (size_bytes > 0) std::memset(to_host, 0, size_bytes);
  }
  void copy(void*, const void*, std::size_t) override {}
  void zero(void*, std::size_t) override {}

  std::int64_t peak_bytes() const { return peak_bytes_; }

 private:
  static constexpr std::int64_t kAlignment = 512;

  std::int64_t rounded(std::size_t size_bytes) const {
    return round_up(std::max<std::int64_t>(1, static_cast<std::int64_t>(size_bytes)), step_bytes_);
  }

  std::int64_t step_bytes_;
  std::int64_t held_bytes_ = 0;
  std::int64_t peak_bytes_ = 0;
  std::uintptr_t next_ = std::uintptr_t{1} << 32U;
};

class CountingBackend final : public DryBackend {
 public:
  explicit CountingBackend(const DryRunOptions& options) : options_(options), memory_(options.step_bytes) {}

  std::int64_t peak_bytes() const override { return memory_.peak_bytes(); }
  std::int64_t scratch_peak_bytes() const override { return scratch_bytes_ + offset_bytes_; }

  std::string name() const override { return "dry run"; }
  DType dtype() const override { return options_.dtype; }
  DType accumulate_dtype() const override { return DType::f32; }
  Memory& memory() override { return memory_; }
  void synchronize() override {}
  std::optional<DeviceMemory> device_memory() const override {
    if (!options_.on_card) return std::nullopt;
    return DeviceMemory{.step_bytes = options_.step_bytes};
  }

  void do_linear(const ops::LinearArgs& args) override {
    count({.kind = OperationKind::linear,
           .tokens = args.x_ti.size(0),
           .channels = args.y_to.size(1),
           .inputs = args.x_ti.size(1)});
  }
  void do_linear_backward(const ops::LinearBackwardArgs& args) override {
    count({.kind = OperationKind::linear_backward,
           .tokens = args.x_ti.size(0),
           .channels = args.dy_to.size(1),
           .inputs = args.x_ti.size(1)});
  }
  void do_conv1d(const ops::Conv1dArgs& args) override {
    count_pack({.kind = OperationKind::conv1d,
                .tokens = args.x_tc.size(0),
                .channels = args.x_tc.size(1),
                .taps = args.weight_ck.size(1)},
               args.seq_begin);
  }
  void do_conv1d_backward(const ops::Conv1dBackwardArgs& args) override {
    count_pack({.kind = OperationKind::conv1d_backward,
                .tokens = args.x_tc.size(0),
                .channels = args.x_tc.size(1),
                .taps = args.weight_ck.size(1)},
               args.seq_begin);
  }
  void do_ssd_scan(const ops::SsdScanArgs& args) override { count_scan(OperationKind::ssd_scan, args); }
  void do_ssd_scan_backward(const ops::SsdScanBackwardArgs& args) override {
    count_scan(OperationKind::ssd_scan_backward, args.forward);
  }
  void do_rms_norm(const ops::RmsNormArgs& args) override { count_rows(OperationKind::rms_norm, args.x_td); }
  void do_rms_norm_backward(const ops::RmsNormBackwardArgs& args) override {
    count_rows(OperationKind::rms_norm_backward, args.x_td);
  }
  void do_gated_rms_norm(const ops::GatedRmsNormArgs& args) override {
    count_rows(OperationKind::gated_rms_norm, args.x_td);
  }
  void do_gated_rms_norm_backward(const ops::GatedRmsNormBackwardArgs& args) override {
    count_rows(OperationKind::gated_rms_norm_backward, args.x_td);
  }
  void do_embedding(const ops::EmbeddingArgs& args) override { count_table(OperationKind::embedding, args.table_vd); }
  void do_embedding_backward(const ops::EmbeddingBackwardArgs& args) override {
    count({.kind = OperationKind::embedding_backward,
           .tokens = args.ids_t.size(0),
           .channels = args.dtable_vd.size(1),
           .inputs = args.dtable_vd.size(0)});
  }
  void do_pool(const ops::PoolArgs& args) override { count_pool(OperationKind::pool, args.x_td, args.seq_begin); }
  void do_pool_piece(const ops::PoolPieceArgs& args) override {
    count({.kind = OperationKind::pool, .tokens = args.x_td.size(0), .sequences = 1, .channels = args.x_td.size(1)});
  }
  void do_pool_backward(const ops::PoolBackwardArgs& args) override {
    count_pool(OperationKind::pool_backward, args.x_td, args.seq_begin);
  }
  void do_attention_pool(const ops::AttentionPoolArgs& args) override {
    count_pool(OperationKind::attention_pool, args.x_td, args.seq_begin);
  }
  void do_attention_pool_backward(const ops::AttentionPoolBackwardArgs& args) override {
    count_pool(OperationKind::attention_pool_backward, args.x_td, args.seq_begin);
  }
  void do_cross_entropy(const ops::CrossEntropyArgs& args) override {
    count_rows(OperationKind::cross_entropy, args.logits_sc);
  }
  double do_sum_of_squares(ConstView x) override {
    count({.kind = OperationKind::sum_of_squares, .tokens = x.elements()});
    return 0.0;
  }

  // Of no encoder, or without scratch.
  void do_layer_norm(const ops::LayerNormArgs&) override {}
  void do_layer_norm_backward(const ops::LayerNormBackwardArgs&) override {}
  void do_activation(const ops::ActivationArgs&) override {}
  void do_activation_backward(const ops::ActivationBackwardArgs&) override {}
  void do_attention(const ops::AttentionArgs&) override {}
  void do_attention_backward(const ops::AttentionBackwardArgs&) override {}
  void do_softmax(const ops::SoftmaxArgs&) override {}
  void do_softmax_backward(const ops::SoftmaxBackwardArgs&) override {}
  void do_pseudo_inverse(const ops::PseudoInverseArgs&) override {}
  void do_pseudo_inverse_backward(const ops::PseudoInverseBackwardArgs&) override {}
  void do_grid_conv(const ops::GridConvArgs&) override {}
  void do_grid_conv_backward(const ops::GridConvBackwardArgs&) override {}
  void do_dropout(const ops::DropoutArgs&) override {}
  void do_adamw(const ops::AdamwArgs&) override {}
  void do_add(ConstView, View) override {}
  void do_multiply(ConstView, View) override {}
  void do_reverse_channels(ConstView, View) override {}

 private:
  void count(const ops::OperationShape& shape) {
    if (options_.scratch_bytes) scratch_bytes_ = std::max(scratch_bytes_, options_.scratch_bytes(shape));
  }
  void count_pack(ops::OperationShape shape, std::span<const std::int64_t> seq_begin) {
    const auto offsets = static_cast<std::int64_t>(seq_begin.size());
    shape.sequences = offsets - 1;
    if (options_.on_card) {
      offset_bytes_ = std::max(offset_bytes_, kOffsetSets * offsets * static_cast<std::int64_t>(sizeof(std::int64_t)));
    }
    count(shape);
  }
  void count_rows(OperationKind kind, const ConstView& x_td) {
    count({.kind = kind, .tokens = x_td.size(0), .channels = x_td.size(1)});
  }
  void count_table(OperationKind kind, const ConstView& table_vd) {
    count({.kind = kind, .channels = table_vd.size(1), .inputs = table_vd.size(0)});
  }
  void count_pool(OperationKind kind, const ConstView& x_td, std::span<const std::int64_t> seq_begin) {
    count_pack({.kind = kind, .tokens = x_td.size(0), .channels = x_td.size(1)}, seq_begin);
  }
  void count_scan(OperationKind kind, const ops::SsdScanArgs& args) {
    count_pack({.kind = kind,
                .tokens = args.x_thp.size(0),
                .heads = args.x_thp.size(1),
                .headdim = args.x_thp.size(2),
                .groups = args.b_tgn.size(1),
                .d_state = args.b_tgn.size(2),
                .chunk = args.chunk},
               args.seq_begin);
  }

  DryRunOptions options_;
  DryMemory memory_;
  std::int64_t scratch_bytes_ = 0;
  std::int64_t offset_bytes_ = 0;
};

}  // namespace

std::unique_ptr<DryBackend> make_dry_backend(const DryRunOptions& options) {
  return std::make_unique<CountingBackend>(options);
}

}  // namespace strandline
