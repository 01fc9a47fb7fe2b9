#include "pipelines/slide/mil_store.hpp"

#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "core/base/error.hpp"
#include "io/model_file/model_file.hpp"
#include "pipelines/run/model_store.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kAggregator = "aggregator";
constexpr const char* kWhereFrom = "Aggregators are made by 'strandline slide train'";

[[noreturn]] void refuse(const std::string& file, const std::string& problem) {
  throw DataError({.file = file}, "bad configuration: " + problem, kWhereFrom);
}

class FieldReader {
 public:
  FieldReader(Json json, const std::string& file) : json_(std::move(json)), file_(file) {}

  template <class T>
  void operator()(const char* name, T& value) {
    const auto at = json_.find(name);
    if (at == json_.end()) refuse(file_, "missing field '" + std::string(name) + "'");
    if (!read(*at, value)) refuse(file_, "field '" + std::string(name) + "' is " + at->dump().substr(0, 80));
    json_.erase(at);
  }

  void finish() const {
    if (!json_.empty()) refuse(file_, "unknown field '" + json_.begin().key() + "'");
  }

 private:
  template <class T>
  static bool read(const Json& json, T& value) {
    if constexpr (std::is_enum_v<T>) {
      return json.is_string() && parse(json.get<std::string>(), value);
    } else if constexpr (std::is_same_v<T, bool>) {
      if (json.is_boolean()) value = json.get<bool>();
      return json.is_boolean();
    } else if constexpr (std::is_same_v<T, double>) {
      if (json.is_number()) value = json.get<double>();
      return json.is_number();
    } else {
      if (json.is_number_integer()) value = json.get<T>();
      return json.is_number_integer();
    }
  }

  Json json_;
  const std::string& file_;
};

std::string metadata_to_json(const MilMetadata& metadata) {
  const Json json = {{"class_names", metadata.class_names},
                     {"patch_order", name_of(metadata.order.kind)},
                     {"patch_order_seed", metadata.order.seed},
                     {"encoder", metadata.encoder},
                     {"fold", metadata.fold},
                     {"training_command", metadata.training_command},
                     {"program_version", metadata.program_version}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

MilMetadata metadata_from_json(const std::string& text, const std::string& file) {
  try {
    const Json json = Json::parse(text);
    MilMetadata metadata;
    metadata.class_names = json.at("class_names").get<std::vector<std::string>>();
    const auto order = order_kind_of(json.at("patch_order").get<std::string>());
    if (!order)
      throw DataError({.file = file}, "names an order of patches that this program does not know",
                      "Use a newer strandline");
    metadata.order = {*order, json.at("patch_order_seed").get<std::uint64_t>()};
    metadata.encoder = json.at("encoder").get<std::string>();
    metadata.fold = json.at("fold").get<std::int64_t>();
    metadata.training_command = json.at("training_command").get<std::string>();
    metadata.program_version = json.at("program_version").get<std::string>();
    return metadata;
  } catch (const Json::exception& error) {
    throw DataError({.file = file}, std::string("bad metadata: ") + error.what(), kWhereFrom);
  }
}

}  // namespace

std::string mil_config_to_json(const MilConfig& config) {
  Json fields = Json::object();
  visit_fields(config, [&](const char* name, const auto& value) {
    if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(value)>>) {
      fields[name] = name_of(value);
    } else {
      fields[name] = value;
    }
  });
  Json all = Json::object();
  all[kAggregator] = std::move(fields);
  return all.dump();
}

MilConfig mil_config_from_json(const std::string& text, const std::string& file) {
  Json all;
  try {
    all = Json::parse(text);
  } catch (const Json::exception& error) {
    refuse(file, error.what());
  }
  if (!all.is_object() || !all.contains(kAggregator) || !all[kAggregator].is_object())
    throw DataError({.file = file}, "is not a model of slides", kWhereFrom);
  MilConfig config;
  FieldReader reader(all[kAggregator], file);
  visit_fields(config, reader);
  reader.finish();
  try {
    config.validate();
  } catch (const ContractError& error) {
    refuse(file, error.what());
  }
  return config;
}

std::string save_mil_model(const std::string& path, const MilModel& model, const MilMetadata& metadata) {
  if (std::ssize(metadata.class_names) != model.config().classes)
    throw ContractError("save_mil_model: class names and classes differ in number");
  ModelFile file;
  file.config_json = mil_config_to_json(model.config());
  file.metadata_json = metadata_to_json(metadata);
  file.tensors = tensors_of(model.weights());
  write_model_file(path, file);
  return content_sha256(file);
}

LoadedMil load_mil_model(const std::string& path, Backend& backend) {
  const ModelFile file = read_model_file(path);
  const MilConfig config = mil_config_from_json(file.config_json, path);
  LoadedMil loaded;
  loaded.metadata = metadata_from_json(file.metadata_json, path);
  if (std::ssize(loaded.metadata.class_names) != config.classes)
    throw DataError({.file = path}, "class names and classes differ in number", kWhereFrom);
  // Before memory is asked for: sizes must not come from the file unchecked.
  std::int64_t stored_bytes = 0;
  for (const NamedTensor& tensor : file.tensors) stored_bytes += std::ssize(tensor.data);
  if (config.layers > std::ssize(file.tensors) || config.d_model > stored_bytes || config.in_features > stored_bytes)
    throw DataError({.file = path}, "the configuration asks for more than the file holds", kWhereFrom);
  loaded.model = std::make_unique<MilModel>(config, backend);
  set_tensors(file.tensors, path, loaded.model->weights());
  loaded.hash = content_sha256(file);
  return loaded;
}

}  // namespace strandline
