// What the configurations of models check alike. Private to core/model.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/error.hpp"

namespace strandline {

/// Wide enough for every published model; keeps each product of two sizes far from 2^63.
inline constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;

/// Refuses one field after the other. @throws ContractError "<subject>: <field> is <value>; it must be <wanted>"
struct ConfigCheck {
  const char* subject;

  void that(bool holds, const char* field, const std::string& value, const char* wanted) const {
    if (!holds) throw ContractError(std::string(subject) + ": " + field + " is " + value + "; it must be " + wanted);
  }
  void size(const char* field, std::int64_t value) const {
    that(value >= 1 && value <= kLargestSize, field, std::to_string(value), "between 1 and 16777216");
  }
  void classes(std::int64_t value) const {
    that(value >= 2 && value <= kLargestSize, "classes", std::to_string(value), "between 2 and 16777216");
  }
};

}  // namespace strandline
