// Models on disk: what a model file of ours holds beside numbers, and how it becomes a classifier again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/model/classifier.hpp"
#include "core/model/config.hpp"
#include "core/model/weights.hpp"
#include "io/model_file/model_file.hpp"
#include "io/model_file/named_tensor.hpp"

namespace strandline {

/// What belongs to a model and is not a number of it.
struct ModelMetadata {
  std::vector<std::string> class_names{};  ///< in the order of the logits; empty: an encoder without a head
  std::int64_t training_window = 0;        ///< longest training sequence in bases; 0: not known
  std::string training_command{};
  std::string program_version{};
  std::string metrics_json = "{}";  ///< a JSON object: what the training measured
};

/// A model file in memory, on no device yet. `config.classes` of an encoder without a head means nothing.
struct StoredModel {
  ClassifierConfig config;
  ModelMetadata metadata;
  std::vector<NamedTensor>
      tensors;       ///< f32, in the order of WeightLayout::specs(); without head.* when there is no head
  std::string hash;  ///< SHA-256 over configuration and weights

  bool has_head() const { return !metadata.class_names.empty(); }
};

struct LoadedClassifier {
  std::unique_ptr<Classifier> classifier;  ///< the head is zero when the file has none
  ModelMetadata metadata;
  std::string hash;

  bool has_head() const { return !metadata.class_names.empty(); }
};

/// Writes the file whole or not at all and returns the model's hash.
/// @throws NumericError when a weight is not finite, ContractError when class names and classes differ, IoError.
std::string save_classifier(const std::string& path, const Classifier& classifier, const ModelMetadata& metadata);
std::string save_model(const std::string& path, const StoredModel& model);

/// Throws unless the tensors are exactly those of the configuration, and the metadata agrees with it.
/// @param file stands for the model's origin in messages. @throws DataError naming the tensor.
void check_model(const StoredModel& model, const std::string& file);

/// @throws DataError naming the file and the fault (missing, extra or misshapen tensor, bad configuration), IoError.
StoredModel load_model(const std::string& path);
/// The same, on `backend`, which must outlive the classifier.
LoadedClassifier load_classifier(const std::string& path, Backend& backend, const EncoderOptions& options = {});
LoadedClassifier make_classifier(StoredModel model, Backend& backend, const EncoderOptions& options = {});

/// Every tensor of `weights` as f32, in the order of its layout.
std::vector<NamedTensor> tensors_of(const Weights& weights);

/// Sets every tensor of `weights`. @param file stands for the tensors' origin in messages.
/// @throws DataError naming a missing, extra, misshapen or wrongly typed tensor; then nothing was set.
void set_tensors(std::span<const NamedTensor> tensors, const std::string& file, Weights& weights);

}  // namespace strandline
