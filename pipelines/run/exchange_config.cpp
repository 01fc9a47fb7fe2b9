#include "pipelines/run/exchange_config.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

// Python writes infinity as a bare word, which is not JSON. Outside of strings it becomes null.
std::string without_infinity(const std::string& text) {
  constexpr std::string_view kWord = "Infinity";
  std::string result;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') in_string = !in_string;
    if (in_string && text[i] == '\\' && i + 1 < text.size()) {
      result += text[i++];
    } else if (!in_string && text.compare(i, kWord.size(), kWord) == 0) {
      result += "null";
      i += kWord.size() - 1;
      continue;
    }
    result += text[i];
  }
  return result;
}

// Values of one JSON object, each refused by name when it is not what it should be.
class Keys {
 public:
  Keys(Json json, std::string file) : json_(std::move(json)), file_(std::move(file)) {
    if (!json_.is_object()) refuse("is not a JSON object");
  }

  bool has(const char* name) const { return json_.contains(name); }
  std::int64_t integer(const char* name) const {
    const Json& value = need(name);
    if (!value.is_number_integer()) refuse(name, value, "an integer");
    return value.get<std::int64_t>();
  }
  std::int64_t integer(const char* name, std::int64_t otherwise) const { return has(name) ? integer(name) : otherwise; }
  double number(const char* name, double otherwise) const {
    if (!has(name)) return otherwise;
    if (!json_[name].is_number()) refuse(name, json_[name], "a number");
    return json_[name].get<double>();
  }
  bool boolean(const char* name, bool otherwise) const {
    if (!has(name)) return otherwise;
    if (!json_[name].is_boolean()) refuse(name, json_[name], "true or false");
    return json_[name].get<bool>();
  }
  /// Refuses any value but `expected`; an absent key means `expected`.
  void require(const char* name, const Json& expected) const {
    if (has(name) && json_[name] != expected) refuse(name, json_[name], expected.dump());
  }
  /// [least, most], where null, "Infinity" and absence mean no limit.
  void limits(const char* name, EncoderConfig& encoder) const {
    if (!has(name) || json_[name].is_null()) return;
    const Json& value = json_[name];
    const auto is_infinite = [](const Json& most) { return most.is_null() || most == "Infinity"; };
    const bool pair = value.is_array() && value.size() == 2 && value[0].is_number() &&
                      (value[1].is_number() || is_infinite(value[1]));
    if (!pair) refuse(name, value, "two numbers");
    encoder.dt_limit_min = value[0].get<double>();
    encoder.dt_limit_max = is_infinite(value[1]) ? std::numeric_limits<double>::infinity() : value[1].get<double>();
  }
  Keys object(const char* name) const { return {has(name) ? json_[name] : Json::object(), file_}; }
  [[noreturn]] void refuse(const std::string& problem) const { throw DataError({.file = file_}, problem); }

 private:
  const Json& need(const char* name) const {
    if (!has(name)) refuse("the key '" + std::string(name) + "' is missing");
    return json_[name];
  }
  [[noreturn]] void refuse(const char* name, const Json& value, const std::string& expected) const {
    refuse("'" + std::string(name) + "' is " + value.dump().substr(0, 80) + ", expected " + expected);
  }

  Json json_;
  std::string file_;
};

EncoderConfig from_hugging_face(const Keys& keys) {
  keys.require("hidden_act", "silu");
  keys.require("rms_norm", true);
  keys.require("norm_before_gate", false);
  EncoderConfig encoder;
  encoder.vocab_size = keys.integer("vocab_size");
  encoder.d_model = keys.integer("hidden_size");
  encoder.layers = keys.integer("num_hidden_layers");
  encoder.d_state = keys.integer("state_size");
  encoder.headdim = keys.integer("head_dim");
  encoder.groups = keys.integer("n_groups");
  encoder.expand = keys.integer("expand", 2);
  encoder.d_conv = keys.integer("conv_kernel", 4);
  encoder.chunk = keys.integer("chunk_size", 256);
  encoder.norm_eps = keys.number("layer_norm_epsilon", 1e-5);
  encoder.conv_bias = keys.boolean("use_conv_bias", true);
  encoder.proj_bias = keys.boolean("use_bias", false);
  keys.limits("time_step_limit", encoder);
  encoder.norm_groups = 1;
  encoder.validate();
  keys.require("num_heads", encoder.heads());
  return encoder;
}

EncoderConfig from_state_spaces(const Keys& keys) {
  keys.require("d_intermediate", 0);
  keys.require("attn_layer_idx", Json::array());
  keys.require("rms_norm", true);
  const Keys layer = keys.object("ssm_cfg");
  layer.require("rmsnorm", true);
  layer.require("D_has_hdim", false);
  layer.require("activation", "swish");
  layer.require("layer", "Mamba2");
  if (!layer.has("layer"))
    layer.refuse("'ssm_cfg' names no layer, which means Mamba-1; expected \"layer\": \"Mamba2\"");
  EncoderConfig encoder;
  const std::int64_t multiple = keys.integer("pad_vocab_size_multiple", 1);
  if (multiple < 1) keys.refuse("'pad_vocab_size_multiple' is below 1");
  encoder.vocab_size = (keys.integer("vocab_size") + multiple - 1) / multiple * multiple;
  encoder.d_model = keys.integer("d_model");
  encoder.layers = keys.integer("n_layer");
  encoder.d_state = layer.integer("d_state", 128);
  encoder.headdim = layer.integer("headdim", 64);
  encoder.groups = layer.integer("ngroups", 1);
  encoder.expand = layer.integer("expand", 2);
  encoder.d_conv = layer.integer("d_conv", 4);
  encoder.chunk = layer.integer("chunk_size", 256);
  encoder.norm_eps = 1e-5;  // fixed in that implementation
  encoder.conv_bias = layer.boolean("conv_bias", true);
  encoder.proj_bias = layer.boolean("bias", false);
  encoder.gate_order =
      layer.boolean("norm_before_gate", false) ? ops::GateOrder::norm_then_gate : ops::GateOrder::gate_then_norm;
  layer.limits("dt_limit", encoder);
  encoder.norm_groups = encoder.groups;
  encoder.validate();
  return encoder;
}

Json to_hugging_face(const EncoderConfig& config) {
  return {{"architectures", {"Mamba2ForCausalLM"}},
          {"model_type", "mamba2"},
          {"vocab_size", config.vocab_size},
          {"hidden_size", config.d_model},
          {"num_hidden_layers", config.layers},
          {"state_size", config.d_state},
          {"num_heads", config.heads()},
          {"head_dim", config.headdim},
          {"n_groups", config.groups},
          {"expand", config.expand},
          {"conv_kernel", config.d_conv},
          {"chunk_size", config.chunk},
          {"use_bias", config.proj_bias},
          {"use_conv_bias", config.conv_bias},
          {"hidden_act", "silu"},
          {"layer_norm_epsilon", config.norm_eps},
          {"rms_norm", true},
          {"residual_in_fp32", true},
          {"tie_word_embeddings", true}};
}

Json to_state_spaces(const EncoderConfig& config) {
  Json layer = {{"layer", "Mamba2"},          {"d_state", config.d_state},
                {"d_conv", config.d_conv},    {"expand", config.expand},
                {"headdim", config.headdim},  {"ngroups", config.groups},
                {"chunk_size", config.chunk}, {"norm_before_gate", config.gate_order == ops::GateOrder::norm_then_gate},
                {"bias", config.proj_bias},   {"conv_bias", config.conv_bias}};
  return {{"d_model", config.d_model},
          {"d_intermediate", 0},
          {"n_layer", config.layers},
          {"vocab_size", config.vocab_size},
          {"ssm_cfg", layer},
          {"attn_layer_idx", Json::array()},
          {"attn_cfg", Json::object()},
          {"rms_norm", true},
          {"residual_in_fp32", true},
          {"fused_add_norm", true},
          {"pad_vocab_size_multiple", 1},
          {"tie_embeddings", true}};
}

void require(bool fits, const std::string& what) {
  if (!fits) throw ContractError("export: this layout has no way to say " + what);
}

}  // namespace

ExchangeConfig read_exchange_config(const std::string& text, const std::string& file) {
  Json json;
  try {
    json = Json::parse(without_infinity(text));
  } catch (const Json::exception& error) {
    throw DataError({.file = file}, std::string("not JSON: ") + error.what());
  }
  const Keys keys(json, file);
  try {
    if (json.value("model_type", Json()) == "mamba2") return {ExchangeLayout::hugging_face, from_hugging_face(keys)};
    if (keys.has("ssm_cfg")) return {ExchangeLayout::state_spaces, from_state_spaces(keys)};
  } catch (const ContractError& error) {
    throw DataError({.file = file}, error.what());
  }
  keys.refuse("not the configuration of a Mamba-2 model: neither \"model_type\": \"mamba2\" nor \"ssm_cfg\" in it");
}

std::string write_exchange_config(const EncoderConfig& config, ExchangeLayout layout) {
  const bool hugging_face = layout == ExchangeLayout::hugging_face;
  require(config.direction == Direction::causal, "'bidirectional'");
  require(config.norm_groups == (hugging_face ? 1 : config.groups),
          "norm_groups " + std::to_string(config.norm_groups) + " with groups " + std::to_string(config.groups));
  require(!hugging_face || config.gate_order == ops::GateOrder::gate_then_norm, "gate_order 'norm_then_gate'");
  require(hugging_face || config.norm_eps == 1e-5, "a norm_eps other than 1e-5");
  Json json = hugging_face ? to_hugging_face(config) : to_state_spaces(config);
  // Absent means no limit in both; a written infinity would not be JSON.
  if (config.dt_limit_min != 0.0 || std::isfinite(config.dt_limit_max)) {
    require(std::isfinite(config.dt_limit_max), "a lower limit of the step without an upper one");
    (hugging_face ? json["time_step_limit"] : json["ssm_cfg"]["dt_limit"]) = {config.dt_limit_min, config.dt_limit_max};
  }
  return json.dump(2) + "\n";
}

}  // namespace strandline
