#include "core/model/weights.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/backend.hpp"
#include "core/base/checked.hpp"
#include "core/base/error.hpp"
#include "core/tensor/host_copy.hpp"

namespace strandline {
namespace {

constexpr std::array<std::string_view, 2> kMixerNames{"mixer.", "mixer_rev."};

std::string layer_prefix(std::int64_t layer) { return "backbone.layers." + std::to_string(layer) + "."; }

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

bool decays(std::string_view name) {
  return !ends_with_any(name, {"norm.weight", "norm_f.weight", ".bias", ".dt_bias", ".A_log", ".D"});
}

void append(std::string name, const Shape& shape, std::vector<WeightSpec>& specs) {
  specs.push_back(weight_spec(std::move(name), shape));
}

enum class Projections : bool { tied, own };

void append_mixer(const EncoderConfig& config, const std::string& prefix, Projections projections,
                  std::vector<WeightSpec>& specs) {
  const std::int64_t channels = config.conv_channels();
  const bool own = projections == Projections::own;
  if (own) {
    append(prefix + "in_proj.weight", {config.in_proj_rows(), config.d_model}, specs);
    if (config.proj_bias) append(prefix + "in_proj.bias", {config.in_proj_rows()}, specs);
  }
  append(prefix + "conv1d.weight", {channels, config.d_conv}, specs);
  if (config.conv_bias) append(prefix + "conv1d.bias", {channels}, specs);
  append(prefix + "dt_bias", {config.heads()}, specs);
  append(prefix + "A_log", {config.heads()}, specs);
  append(prefix + "D", {config.heads()}, specs);
  append(prefix + "norm.weight", {config.d_inner()}, specs);
  if (own) {
    append(prefix + "out_proj.weight", {config.out_proj_rows(), config.d_inner()}, specs);
    if (config.proj_bias) append(prefix + "out_proj.bias", {config.out_proj_rows()}, specs);
  }
}

void check_names(std::span<const WeightSpec> specs) {
  std::vector<std::string_view> names;
  for (const WeightSpec& spec : specs) names.push_back(spec.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw ContractError("two weights have the name '" + std::string(*twice) + "'");
}

}  // namespace

WeightSpec weight_spec(std::string name, const Shape& shape) {
  const bool decay = decays(name);
  return {std::move(name), shape, decay, 0};
}

void append_block(const EncoderConfig& config, const BlockPlace& place, std::vector<WeightSpec>& specs) {
  if (place.has_norm) append(place.prefix + "norm.weight", {config.d_model}, specs);
  for (int direction = 0; direction < config.directions(); ++direction) {
    const bool own = direction == 0 || !config.tied_projections;
    append_mixer(config, place.prefix + std::string(kMixerNames[static_cast<std::size_t>(direction)]),
                 own ? Projections::own : Projections::tied, specs);
  }
}

WeightLayout::WeightLayout(const EncoderConfig& config) {
  config.validate();
  add_encoder(config);
  place();
}

WeightLayout::WeightLayout(const ClassifierConfig& config) {
  config.validate();
  const std::int64_t d_model = config.encoder.d_model;
  add_encoder(config.encoder);
  if (config.pooling == Pooling::attention) append("pool.score.weight", {1, d_model}, specs_);
  append("head.weight", {config.classes, d_model}, specs_);
  append("head.bias", {config.classes}, specs_);
  place();
}

WeightLayout::WeightLayout(std::vector<WeightSpec> specs) : specs_(std::move(specs)) {
  check_names(specs_);
  place();
}

void WeightLayout::add_encoder(const EncoderConfig& config) {
  append("backbone.embedding.weight", {config.vocab_size, config.d_model}, specs_);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) append_block(config, {layer_prefix(layer)}, specs_);
  append("backbone.norm_f.weight", {config.d_model}, specs_);
}

void WeightLayout::place() {
  std::int64_t end = 0;
  for (const bool decay : {true, false}) {
    for (WeightSpec& spec : specs_) {
      if (spec.decay != decay) continue;
      spec.offset = end;
      end += round_up(spec.shape.elements(), kWeightAlignment);
    }
    if (decay) decay_elements_ = end;
  }
  elements_ = end;
}

const WeightSpec* WeightLayout::find(std::string_view name) const {
  const auto found =
      std::find_if(specs_.begin(), specs_.end(), [&](const WeightSpec& spec) { return spec.name == name; });
  return found == specs_.end() ? nullptr : &*found;
}

std::int64_t WeightLayout::parameters() const {
  std::int64_t sum = 0;
  for (const WeightSpec& spec : specs_) sum += spec.shape.elements();
  return sum;
}

Weights::Weights(const WeightLayout& layout, Backend& backend)
    : layout_(layout),
      memory_(&backend.memory()),
      flat_(backend.memory(), backend.accumulate_dtype(), {layout.elements()}) {
  flat_.zero();
}

View Weights::find(std::string_view name) const {
  const WeightSpec* spec = layout_.find(name);
  if (spec == nullptr) return {};
  const View elements = flat().slice(0, spec->offset, spec->offset + spec->shape.elements());
  return {elements.data(), elements.dtype(), spec->shape, elements.device()};
}

View Weights::view(std::string_view name) const {
  const View found = find(name);
  if (!found) throw ContractError("the model has no weight named '" + std::string(name) + "'");
  return found;
}

void Weights::set(std::string_view name, std::span<const float> values) {
  const View to = view(name);
  if (std::cmp_not_equal(values.size(), to.elements())) {
    throw ContractError("weight '" + std::string(name) + "' has shape " + to_string(to.shape()) + ", but " +
                        std::to_string(values.size()) + " values were given");
  }
  upload_values(*memory_, values, to);
}

std::vector<float> Weights::get(std::string_view name) const {
  const View from = view(name);
  std::vector<float> values(static_cast<std::size_t>(from.elements()));
  download_values(*memory_, from, values);
  return values;
}

BlockWeights block_weights(const EncoderConfig& config, const Weights& weights, std::int64_t layer) {
  return block_weights(config, weights, BlockPlace{layer_prefix(layer)});
}

BlockWeights block_weights(const EncoderConfig& config, const Weights& weights, const BlockPlace& place) {
  const std::string& prefix = place.prefix;
  BlockWeights block;
  if (place.has_norm) block.norm_d = weights.view(prefix + "norm.weight");
  for (int direction = 0; direction < config.directions(); ++direction) {
    const std::string own = prefix + std::string(kMixerNames[static_cast<std::size_t>(direction)]);
    const std::string projections = config.tied_projections ? prefix + std::string(kMixerNames[0]) : own;
    block.direction[direction] = {
        .in_proj_rd = weights.view(projections + "in_proj.weight"),
        .in_proj_bias_r = weights.find(projections + "in_proj.bias"),
        .conv_ck = weights.view(own + "conv1d.weight"),
        .conv_bias_c = weights.find(own + "conv1d.bias"),
        .dt_bias_h = weights.view(own + "dt_bias"),
        .a_log_h = weights.view(own + "A_log"),
        .d_h = weights.view(own + "D"),
        .norm_i = weights.view(own + "norm.weight"),
        .out_proj_di = weights.view(projections + "out_proj.weight"),
        .out_proj_bias_d = weights.find(projections + "out_proj.bias"),
    };
  }
  return block;
}

}  // namespace strandline
