#include "core/model/mil/mil_weights.hpp"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/initialise.hpp"

namespace strandline {
namespace {

using Specs = std::vector<WeightSpec>;

struct Map {
  std::int64_t outputs;
  std::int64_t inputs;
};

void append_map(const std::string& name, const Map& map, Specs& specs) {
  specs.push_back(weight_spec(name + ".weight", {map.outputs, map.inputs}));
  specs.push_back(weight_spec(name + ".bias", {map.outputs}));
}

void append_layer_norm(const std::string& name, std::int64_t width, Specs& specs) {
  specs.push_back(weight_spec(name + ".weight", {width}));
  specs.push_back(weight_spec(name + ".bias", {width}));
}

void append_trans_mil(const MilConfig& config, Specs& specs) {
  const std::int64_t width = config.d_model;
  specs.push_back(weight_spec("cls_token", {1, width}));
  for (const char* layer : {"layers.0.", "layers.1."}) {
    const std::string prefix = layer;
    append_layer_norm(prefix + "norm", width, specs);
    specs.push_back(weight_spec(prefix + "qkv.weight", {3 * width, width}));
    specs.push_back(weight_spec(prefix + "residual.weight", {config.heads, config.residual_taps}));
    append_map(prefix + "out", {width, width}, specs);
  }
  for (const std::int64_t taps : kPlaceTaps) {
    specs.push_back(weight_spec(place_name(taps) + ".weight", {width, taps, taps}));
    specs.push_back(weight_spec(place_name(taps) + ".bias", {width}));
  }
  append_layer_norm("norm", width, specs);
}

void append_body(const MilConfig& config, Specs& specs) {
  if (config.kind == MilKind::mamba2_mil) {
    for (int branch = 0; branch < kMilBranches; ++branch) {
      for (std::int64_t layer = 0; layer < config.layers; ++layer) {
        append_block(config.encoder(), branch_place(branch, layer), specs);
      }
    }
    append_layer_norm("norm", config.d_model, specs);
  }
  if (config.kind == MilKind::trans_mil) append_trans_mil(config, specs);
  if (config.kind == MilKind::bi_mamba) {
    for (std::int64_t layer = 0; layer < config.layers; ++layer) {
      append_block(config.encoder(), backbone_place(layer), specs);
    }
    specs.push_back(weight_spec("backbone.norm_f.weight", {config.d_model}));
  }
}

// Of a matrix: the deviation that keeps the variance of values and gradients on the way through it.
double draw_matrix(const WeightSpec& spec, RandomStream& random) {
  return random.normal() * std::sqrt(2.0 / static_cast<double>(spec.shape[0] + spec.shape[1]));
}

double draw_taps(const WeightSpec& spec, RandomStream& random) {
  return (2.0 * random.uniform() - 1.0) / std::sqrt(static_cast<double>(spec.shape[1] * spec.shape[2]));
}

}  // namespace

bool has_attention_net(MilKind kind) {
  return kind == MilKind::abmil || kind == MilKind::clam_sb || kind == MilKind::mamba2_mil || kind == MilKind::bi_mamba;
}

BlockPlace branch_place(int branch, std::int64_t layer) {
  return {.prefix = "branches." + std::to_string(branch) + ".layers." + std::to_string(layer) + ".", .has_norm = false};
}

BlockPlace backbone_place(std::int64_t layer) { return {"backbone.layers." + std::to_string(layer) + "."}; }

std::string place_name(std::int64_t taps) { return "ppeg." + std::to_string(taps); }

WeightLayout mil_layout(const MilConfig& config) {
  config.validate();
  Specs specs;
  append_map("stem", {config.d_model, config.in_features}, specs);
  append_body(config, specs);
  if (has_attention_net(config.kind)) {
    append_map("attention.hidden", {config.attention_width, config.d_model}, specs);
    if (config.gated) append_map("attention.gate", {config.attention_width, config.d_model}, specs);
    append_map("attention.score", {1, config.attention_width}, specs);
  }
  for (std::int64_t c = 0; config.kind == MilKind::clam_sb && c < config.classes; ++c) {
    append_map("instance." + std::to_string(c), {2, config.d_model}, specs);
  }
  append_map("head", {config.classes, config.d_model}, specs);
  return WeightLayout(std::move(specs));
}

void initialise(const MilConfig& config, std::uint64_t seed, Weights& weights) {
  const EncoderConfig encoder = config.encoder();
  const auto draw = [&](const WeightSpec& spec, RandomStream& random) {
    const std::string_view name = spec.name;
    if (spec.shape.rank() == 3) return draw_taps(spec, random);
    const bool matrix = spec.shape.rank() == 2 && !name.ends_with("conv1d.weight") && !name.starts_with("backbone.");
    return matrix ? draw_matrix(spec, random) : draw_weight(encoder, spec, random);
  };
  fill_weights(seed, draw, weights);
}

}  // namespace strandline
