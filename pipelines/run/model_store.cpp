#include "pipelines/run/model_store.hpp"

#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/base/error.hpp"
#include "pipelines/run/config_json.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kHeadPrefix = "head.";

std::string metadata_to_json(const ModelMetadata& metadata) {
  Json json;
  json["class_names"] = metadata.class_names;
  json["training_window"] = metadata.training_window;
  json["training_command"] = metadata.training_command;
  json["program_version"] = metadata.program_version;
  json["metrics"] = Json::parse(metadata.metrics_json);
  return json.dump();
}

ModelMetadata metadata_from_json(const std::string& text, const std::string& file) {
  try {
    const Json json = Json::parse(text);
    ModelMetadata metadata;
    metadata.class_names = json.at("class_names").get<std::vector<std::string>>();
    metadata.training_window = json.at("training_window").get<std::int64_t>();
    metadata.training_command = json.at("training_command").get<std::string>();
    metadata.program_version = json.at("program_version").get<std::string>();
    metadata.metrics_json = json.at("metrics").dump();
    return metadata;
  } catch (const Json::exception& error) {
    throw DataError({.file = file}, std::string("bad metadata: ") + error.what(),
                    "The file was not written by strandline");
  }
}

bool is_head(std::string_view name) { return name.starts_with(kHeadPrefix); }

std::vector<std::int64_t> shape_of(const WeightSpec& spec) {
  std::vector<std::int64_t> shape;
  for (int axis = 0; axis < spec.shape.rank(); ++axis) shape.push_back(spec.shape[axis]);
  return shape;
}

std::string text_of(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

// Throws unless `tensors` are exactly the tensors of `layout` (without the head's, when there is none).
void check_tensors(std::span<const NamedTensor> tensors, const WeightLayout& layout, bool with_head,
                   const std::string& file) {
  std::unordered_map<std::string_view, const NamedTensor*> by_name;
  for (const NamedTensor& tensor : tensors) {
    const bool known = layout.find(tensor.name) != nullptr && (with_head || !is_head(tensor.name));
    if (!known) throw DataError({.file = file}, "tensor '" + tensor.name + "' does not belong to the configuration");
    if (!by_name.emplace(tensor.name, &tensor).second) {
      throw DataError({.file = file}, "tensor '" + tensor.name + "' comes twice");
    }
  }
  for (const WeightSpec& spec : layout.specs()) {
    if (!with_head && is_head(spec.name)) continue;
    const auto found = by_name.find(spec.name);
    if (found == by_name.end()) throw DataError({.file = file}, "tensor '" + spec.name + "' is missing");
    const NamedTensor& tensor = *found->second;
    if (tensor.shape != shape_of(spec)) {
      throw DataError({.file = file}, "tensor '" + spec.name + "' has shape " + text_of(tensor.shape) + ", expected " +
                                          text_of(shape_of(spec)));
    }
    if (tensor.dtype != DType::f32) {
      throw DataError({.file = file},
                      "tensor '" + spec.name + "' is " + std::string(name_of(tensor.dtype)) + ", expected f32");
    }
    require_consistent(tensor);
  }
}

void copy_tensors(std::span<const NamedTensor> tensors, Weights& weights) {
  std::vector<float> values;
  for (const NamedTensor& tensor : tensors) {
    values.resize(tensor.data.size() / sizeof(float));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    weights.set(tensor.name, values);
  }
}

ModelFile to_model_file(const ClassifierConfig& config, const ModelMetadata& metadata,
                        std::vector<NamedTensor> tensors) {
  ModelFile file;
  file.config_json = config_to_json(config);
  file.metadata_json = metadata_to_json(metadata);
  file.tensors = std::move(tensors);
  return file;
}

std::string write(const std::string& path, const ModelFile& file) {
  write_model_file(path, file);
  return content_sha256(file);
}

void check_metadata(const StoredModel& model, const std::string& file) {
  const std::size_t names = model.metadata.class_names.size();
  if (names != 0 && static_cast<std::int64_t>(names) != model.config.classes) {
    throw DataError({.file = file},
                    std::to_string(names) + " class names for " + std::to_string(model.config.classes) + " classes");
  }
  // Before a layout is made of it: its size must not come from the file unchecked.
  if (model.config.encoder.layers > std::ssize(model.tensors)) {
    throw DataError({.file = file}, std::to_string(model.config.encoder.layers) + " layers, but only " +
                                        std::to_string(model.tensors.size()) + " tensors");
  }
  if (model.metadata.training_window < 0) throw DataError({.file = file}, "a training window below 0");
}

}  // namespace

std::string save_classifier(const std::string& path, const Classifier& classifier, const ModelMetadata& metadata) {
  const ClassifierConfig& config = classifier.config();
  if (std::ssize(metadata.class_names) != config.classes) {
    throw ContractError("save_classifier: " + std::to_string(metadata.class_names.size()) + " class names, expected " +
                        std::to_string(config.classes));
  }
  return write(path, to_model_file(config, metadata, tensors_of(classifier.weights())));
}

std::string save_model(const std::string& path, const StoredModel& model) {
  check_model(model, path);
  return write(path, to_model_file(model.config, model.metadata, model.tensors));
}

void check_model(const StoredModel& model, const std::string& file) {
  check_metadata(model, file);
  check_tensors(model.tensors, WeightLayout(model.config), model.has_head(), file);
}

StoredModel load_model(const std::string& path) {
  ModelFile file = read_model_file(path);
  StoredModel model;
  model.hash = content_sha256(file);
  model.config = config_from_json(file.config_json, path);
  model.metadata = metadata_from_json(file.metadata_json, path);
  model.tensors = std::move(file.tensors);
  check_model(model, path);
  return model;
}

LoadedClassifier make_classifier(StoredModel model, Backend& backend, const EncoderOptions& options) {
  LoadedClassifier loaded;
  loaded.classifier = std::make_unique<Classifier>(model.config, backend, options);
  copy_tensors(model.tensors, loaded.classifier->weights());
  loaded.metadata = std::move(model.metadata);
  loaded.hash = std::move(model.hash);
  return loaded;
}

LoadedClassifier load_classifier(const std::string& path, Backend& backend, const EncoderOptions& options) {
  return make_classifier(load_model(path), backend, options);
}

std::vector<NamedTensor> tensors_of(const Weights& weights) {
  std::vector<NamedTensor> tensors;
  for (const WeightSpec& spec : weights.layout().specs()) {
    const std::vector<float> values = weights.get(spec.name);
    NamedTensor tensor{spec.name, DType::f32, shape_of(spec), {}};
    tensor.data.resize(values.size() * sizeof(float));
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void set_tensors(std::span<const NamedTensor> tensors, const std::string& file, Weights& weights) {
  check_tensors(tensors, weights.layout(), true, file);
  copy_tensors(tensors, weights);
}

}  // namespace strandline
