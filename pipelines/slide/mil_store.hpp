// Aggregators on disk: a model file with what belongs to them beside numbers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/model/mil/mil_model.hpp"
#include "pipelines/slide/patch_order.hpp"

namespace strandline {

struct MilMetadata {
  std::vector<std::string> class_names;  ///< in the order of the logits
  PatchOrder order;                      ///< in which patches go in
  std::string encoder;                   ///< of the features, as their files name it; may be empty
  std::int64_t fold = -1;                ///< that was not learnt from; -1: none
  std::string training_command;
  std::string program_version;
};

/// One JSON object with every field of the configuration, in order; enumerations by name.
std::string mil_config_to_json(const MilConfig& config);
/// Strict: missing and unknown fields and wrong types are refused by name. @throws DataError.
MilConfig mil_config_from_json(const std::string& text, const std::string& file);

/// Writes the file whole or not at all and returns the model's hash (SHA-256 of configuration and weights).
/// @throws NumericError when a weight is not finite, IoError.
std::string save_mil_model(const std::string& path, const MilModel& model, const MilMetadata& metadata);

struct LoadedMil {
  std::unique_ptr<MilModel> model;
  MilMetadata metadata;
  std::string hash;
};

/// On `backend`, which must outlive the model. @throws DataError naming file and fault, IoError.
LoadedMil load_mil_model(const std::string& path, Backend& backend);

}  // namespace strandline
