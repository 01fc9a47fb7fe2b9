#include "core/model/mil/mil_config.hpp"

#include <string>

#include "core/base/names.hpp"
#include "core/model/config_check.hpp"

namespace strandline {
namespace {

constexpr ConfigCheck kCheck{"aggregator configuration"};

constexpr Names<MilKind, 7> kKinds{{{MilKind::mean, "mean"},
                                    {MilKind::max, "max"},
                                    {MilKind::abmil, "abmil"},
                                    {MilKind::clam_sb, "clam_sb"},
                                    {MilKind::trans_mil, "transmil"},
                                    {MilKind::mamba2_mil, "mamba2mil"},
                                    {MilKind::bi_mamba, "bimamba"}}};
constexpr Names<Flip, 2> kFlips{{{Flip::channel, "channel"}, {Flip::token, "token"}}};
constexpr Names<SquarePadding, 2> kPaddings{{{SquarePadding::wrap, "wrap"}, {SquarePadding::none, "none"}}};
constexpr Names<ops::ActivationKind, 4> kActivations{{{ops::ActivationKind::relu, "relu"},
                                                      {ops::ActivationKind::gelu, "gelu"},
                                                      {ops::ActivationKind::tanh, "tanh"},
                                                      {ops::ActivationKind::sigmoid, "sigmoid"}}};

template <class Value, std::size_t N>
bool parse_in(const Names<Value, N>& names, std::string_view name, Value& value) {
  const std::optional<Value> found = value_in(names, name);
  value = found.value_or(value);
  return found.has_value();
}

}  // namespace

std::string_view name_of(MilKind kind) { return name_in(kKinds, kind); }
std::string_view name_of(Flip flip) { return name_in(kFlips, flip); }
std::string_view name_of(SquarePadding padding) { return name_in(kPaddings, padding); }
std::string_view name_of(ops::ActivationKind kind) { return name_in(kActivations, kind); }

bool parse(std::string_view name, MilKind& value) { return parse_in(kKinds, name, value); }
bool parse(std::string_view name, Flip& value) { return parse_in(kFlips, name, value); }
bool parse(std::string_view name, SquarePadding& value) { return parse_in(kPaddings, name, value); }
bool parse(std::string_view name, ops::ActivationKind& value) { return parse_in(kActivations, name, value); }

std::optional<MilKind> mil_kind_of(std::string_view name) { return value_in(kKinds, name); }

EncoderConfig MilConfig::encoder() const {
  EncoderConfig encoder;
  encoder.d_model = d_model;
  encoder.layers = layers;
  encoder.d_state = d_state;
  encoder.d_conv = d_conv;
  encoder.expand = expand;
  encoder.headdim = headdim;
  encoder.chunk = chunk;
  encoder.direction = kind == MilKind::bi_mamba ? Direction::bidirectional : Direction::causal;
  return encoder;
}

void MilConfig::validate() const {
  name_of(kind);
  kCheck.size("in_features", in_features);
  kCheck.classes(classes);
  kCheck.size("d_model", d_model);
  kCheck.size("attention_width", attention_width);
  kCheck.that(dropout >= 0 && dropout < 1, "dropout", std::to_string(dropout), "at least 0 and below 1");
  kCheck.size("instance_patches", instance_patches);
  kCheck.that(instance_weight >= 0 && instance_weight <= 1, "instance_weight", std::to_string(instance_weight),
              "between 0 and 1");
  if (kind == MilKind::mamba2_mil || kind == MilKind::bi_mamba) encoder().validate();
  if (kind != MilKind::trans_mil) return;
  kCheck.size("heads", heads);
  kCheck.that(d_model % heads == 0, "heads", std::to_string(heads), "a divisor of d_model");
  kCheck.size("landmarks", landmarks);
  kCheck.that(pinv_iterations >= 1 && pinv_iterations <= 64, "pinv_iterations", std::to_string(pinv_iterations),
              "between 1 and 64");
  kCheck.that(residual_taps >= 1 && residual_taps <= 255 && residual_taps % 2 == 1, "residual_taps",
              std::to_string(residual_taps), "odd, at most 255");
}

MilConfig published_config(MilKind kind, std::int64_t in_features, std::int64_t classes) {
  MilConfig config;
  config.kind = kind;
  config.in_features = in_features;
  config.classes = classes;
  switch (kind) {
    case MilKind::clam_sb:
      config.gated = true;
      config.attention_width = 256;
      break;
    case MilKind::trans_mil: config.dropout = 0.1; break;
    case MilKind::mamba2_mil:
      config.activation = ops::ActivationKind::gelu;
      config.dropout = 0.0;
      break;
    case MilKind::bi_mamba:
      config.activation = ops::ActivationKind::gelu;
      config.d_model = 256;
      config.gated = true;
      break;
    default: break;
  }
  return config;
}

}  // namespace strandline
