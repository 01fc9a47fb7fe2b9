// Every parameter of a model: named once here, laid out once here. Gradients and optimiser moments have the same
// layout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/config.hpp"
#include "core/tensor/buffer.hpp"
#include "core/tensor/view.hpp"

namespace strandline {

class Backend;

struct WeightSpec {
  std::string name;
  Shape shape;
  bool decay = true;        ///< weight decay applies; never for norms, biases, A_log, D, dt_bias
  std::int64_t offset = 0;  ///< in elements, a multiple of kWeightAlignment
};

/// Elements, so that a tensor starts at a cache line in fp32 and in fp64.
inline constexpr std::int64_t kWeightAlignment = 16;

/// A tensor of this name and shape; the name decides whether it decays.
WeightSpec weight_spec(std::string name, const Shape& shape);

/// Where the tensors of one block are: under `prefix`, "backbone.layers.0." for the first of an encoder.
struct BlockPlace {
  std::string prefix;
  bool has_norm = true;  ///< false: the block works on the residual stream itself
};

/// Appends the tensors of one block.
void append_block(const EncoderConfig& config, const BlockPlace& place, std::vector<WeightSpec>& specs);

/// One flat vector holds all tensors: first those with weight decay, then those without, so that an optimiser step is
/// two calls. specs() is in the order of the model: embedding, layers, final norm, pooling, head.
/// Names and shapes are those of state-spaces/mamba2 (conv1d.weight as (C, K)); a reversed direction's own tensors are
/// under `mixer_rev`; a classifier adds `pool.score.weight` (attention only), `head.weight` and `head.bias`.
class WeightLayout {
 public:
  WeightLayout() = default;
  /// @throws ContractError when the configuration is not valid.
  explicit WeightLayout(const EncoderConfig& config);
  explicit WeightLayout(const ClassifierConfig& config);
  /// Of any other model: its tensors in its order; offsets are set here. @throws ContractError when two have one name.
  explicit WeightLayout(std::vector<WeightSpec> specs);

  std::span<const WeightSpec> specs() const { return specs_; }
  /// nullptr when there is none.
  const WeightSpec* find(std::string_view name) const;
  /// Numbers that are learnt: without padding.
  std::int64_t parameters() const;
  /// Length of the flat vector, padding included.
  std::int64_t elements() const { return elements_; }
  /// [0, decay_elements()) of the flat vector decays, the rest does not.
  std::int64_t decay_elements() const { return decay_elements_; }

 private:
  void add_encoder(const EncoderConfig& config);
  void place();

  std::vector<WeightSpec> specs_;
  std::int64_t elements_ = 0;
  std::int64_t decay_elements_ = 0;
};

/// The numbers, in the back end's accumulation type and memory. Starts as zeros; padding stays zero.
/// Views stay valid as long as the Weights live, also when these are moved.
class Weights {
 public:
  Weights() = default;
  Weights(const WeightLayout& layout, Backend& backend);

  const WeightLayout& layout() const { return layout_; }
  View flat() const { return flat_.view(); }
  /// @throws ContractError when there is no such tensor.
  View view(std::string_view name) const;
  /// An absent view when there is no such tensor.
  View find(std::string_view name) const;
  void zero() { flat_.zero(); }

  /// Whole tensors from and to host floats, converted when the back end works in double.
  /// @throws ContractError when the name is unknown or the count is wrong.
  void set(std::string_view name, std::span<const float> values);
  std::vector<float> get(std::string_view name) const;

 private:
  WeightLayout layout_;
  Memory* memory_ = nullptr;
  Buffer flat_;
};

/// Handles of one direction of one block; biases that the configuration leaves out are absent.
struct MixerWeights {
  View in_proj_rd;  ///< (rows z, x, B, C, dt; d_model)
  View in_proj_bias_r;
  View conv_ck;
  View conv_bias_c;
  View dt_bias_h;
  View a_log_h;
  View d_h;
  View norm_i;  ///< (d_inner)
  View out_proj_di;
  View out_proj_bias_d;
};

struct BlockWeights {
  View norm_d;                ///< absent: no norm in front of the block
  MixerWeights direction[2];  ///< forward, reverse; tied projections are the same views in both
};

/// Also serves gradients: the layout is the same.
BlockWeights block_weights(const EncoderConfig& config, const Weights& weights, std::int64_t layer);
BlockWeights block_weights(const EncoderConfig& config, const Weights& weights, const BlockPlace& place);

}  // namespace strandline
