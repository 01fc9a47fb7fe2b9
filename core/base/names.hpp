// Enumerators and the names they have in files and on the command line, listed once for both ways.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {

template <class Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

/// @throws ContractError when `value` is not in the list.
template <class Enum, std::size_t N>
constexpr std::string_view name_in(const Names<Enum, N>& names, Enum value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  throw ContractError("an enumerator without a name");
}

/// The enumerator of this name, or none.
template <class Enum, std::size_t N>
constexpr std::optional<Enum> value_in(const Names<Enum, N>& names, std::string_view name) {
  for (const auto& [candidate, known] : names) {
    if (known == name) return candidate;
  }
  return std::nullopt;
}

}  // namespace strandline
