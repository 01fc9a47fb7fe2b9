#include "pipelines/run/config_json.hpp"

#include <cmath>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/names.hpp"

namespace strandline {
namespace {

// Keeps the order of the fields, so that the text (and the hash over it) does not depend on their names.
using Json = nlohmann::ordered_json;

constexpr Names<Direction, 2> kDirections{{{Direction::causal, "causal"}, {Direction::bidirectional, "bidirectional"}}};
constexpr Names<Combine, 2> kCombines{{{Combine::add, "add"}, {Combine::concat, "concat"}}};
constexpr Names<ops::GateOrder, 2> kGateOrders{
    {{ops::GateOrder::gate_then_norm, "gate_then_norm"}, {ops::GateOrder::norm_then_gate, "norm_then_gate"}}};
constexpr Names<Pooling, 4> kPoolings{
    {{Pooling::mean, "mean"}, {Pooling::last, "last"}, {Pooling::max, "max"}, {Pooling::attention, "attention"}}};

// Writes fields. visit_*() below lists them once, for writing and for reading.
class Writer {
 public:
  void field(const char* name, std::int64_t value) { json_[name] = value; }
  void field(const char* name, bool value) { json_[name] = value; }
  void field(const char* name, double value) {
    if (std::isinf(value)) {
      json_[name] = nullptr;
    } else {
      json_[name] = value;
    }
  }
  template <class Enum, std::size_t N>
  void field(const char* name, Enum value, const Names<Enum, N>& names) {
    json_[name] = name_in(names, value);
  }
  void object(const char* name, Json value) { json_[name] = std::move(value); }

  Json take() { return std::move(json_); }

 private:
  Json json_ = Json::object();
};

// Reads fields, and refuses what it was not asked for.
class Reader {
 public:
  Reader(Json json, std::string file) : json_(std::move(json)), file_(std::move(file)) {
    if (!json_.is_object()) refuse("the configuration is not a JSON object");
  }

  void field(const char* name, std::int64_t& value) {
    const Json json = take(name);
    if (!json.is_number_integer()) refuse(name, json, "an integer");
    value = json.get<std::int64_t>();
  }
  void field(const char* name, bool& value) {
    const Json json = take(name);
    if (!json.is_boolean()) refuse(name, json, "true or false");
    value = json.get<bool>();
  }
  void field(const char* name, double& value) {
    const Json json = take(name);
    if (!json.is_number() && !json.is_null()) refuse(name, json, "a number");
    value = json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
  }
  template <class Enum, std::size_t N>
  void field(const char* name, Enum& value, const Names<Enum, N>& names) {
    const Json json = take(name);
    std::string expected;
    for (const auto& [candidate, text] : names) {
      if (json == text) {
        value = candidate;
        return;
      }
      expected += (expected.empty() ? "" : " or ") + std::string(text);
    }
    refuse(name, json, expected);
  }
  Json object(const char* name) { return take(name); }

  void finish() const {
    if (!json_.empty()) {
      refuse("unknown field '" + json_.begin().key() + "'", "The model may come from a newer strandline");
    }
  }

 private:
  Json take(const char* name) {
    const auto found = json_.find(name);
    if (found == json_.end()) refuse("missing field '" + std::string(name) + "'");
    Json value = std::move(*found);
    json_.erase(found);
    return value;
  }
  [[noreturn]] void refuse(const char* name, const Json& value, const std::string& expected) const {
    refuse("field '" + std::string(name) + "' is " + value.dump().substr(0, 80) + ", expected " + expected);
  }
  [[noreturn]] void refuse(const std::string& problem, const std::string& cure = {}) const {
    throw DataError({.file = file_}, "bad configuration: " + problem, cure);
  }

  Json json_;
  std::string file_;
};

// One list of fields for both directions: Config is const when written.
template <class Visitor, class Config>
void visit_encoder(Visitor& visitor, Config& config) {
  visitor.field("vocab_size", config.vocab_size);
  visitor.field("d_model", config.d_model);
  visitor.field("layers", config.layers);
  visitor.field("d_state", config.d_state);
  visitor.field("d_conv", config.d_conv);
  visitor.field("expand", config.expand);
  visitor.field("headdim", config.headdim);
  visitor.field("groups", config.groups);
  visitor.field("chunk", config.chunk);
  visitor.field("dropout", config.dropout);
  visitor.field("direction", config.direction, kDirections);
  visitor.field("combine", config.combine, kCombines);
  visitor.field("tied_projections", config.tied_projections);
  visitor.field("conv_bias", config.conv_bias);
  visitor.field("proj_bias", config.proj_bias);
  visitor.field("gate_order", config.gate_order, kGateOrders);
  visitor.field("norm_groups", config.norm_groups);
  visitor.field("norm_eps", config.norm_eps);
  visitor.field("dt_limit_min", config.dt_limit_min);
  visitor.field("dt_limit_max", config.dt_limit_max);
  visitor.field("dt_init_min", config.dt_init_min);
  visitor.field("dt_init_max", config.dt_init_max);
  visitor.field("dt_init_floor", config.dt_init_floor);
  visitor.field("a_init_min", config.a_init_min);
  visitor.field("a_init_max", config.a_init_max);
}

template <class Visitor, class Config>
void visit_classifier(Visitor& visitor, Config& config) {
  visitor.field("classes", config.classes);
  visitor.field("pooling", config.pooling, kPoolings);
}

Json parse(const std::string& text, const std::string& file) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw DataError({.file = file}, std::string("the configuration is not JSON: ") + error.what());
  }
}

}  // namespace

std::string_view name_of(Pooling pooling) { return name_in(kPoolings, pooling); }

std::string config_to_json(const ClassifierConfig& config) {
  Writer encoder;
  visit_encoder(encoder, config.encoder);
  Writer classifier;
  classifier.object("encoder", encoder.take());
  visit_classifier(classifier, config);
  return classifier.take().dump();
}

ClassifierConfig config_from_json(const std::string& text, const std::string& file) {
  Reader classifier(parse(text, file), file);
  Reader encoder(classifier.object("encoder"), file);
  ClassifierConfig config;
  visit_encoder(encoder, config.encoder);
  encoder.finish();
  visit_classifier(classifier, config);
  classifier.finish();
  try {
    config.validate();
  } catch (const ContractError& error) {
    throw DataError({.file = file}, std::string("bad configuration: ") + error.what());
  }
  return config;
}

}  // namespace strandline
