// A classifier's configuration as JSON text and back.
#pragma once

#include <string>
#include <string_view>

#include "core/model/config.hpp"

namespace strandline {

/// One JSON object with every field of ClassifierConfig under its own name; the encoder's under "encoder". Enumerators
/// by name; "dt_limit_max": null means no limit. Equal configurations give equal text.
std::string config_to_json(const ClassifierConfig& config);

/// As in the JSON: "mean", "last", "max", "attention".
std::string_view name_of(Pooling pooling);

/// Strict: a missing field, an unknown field and a wrong type are refused by name, and the result is validated.
/// @param file stands for the text's origin in messages. @throws DataError.
ClassifierConfig config_from_json(const std::string& text, const std::string& file);

}  // namespace strandline
