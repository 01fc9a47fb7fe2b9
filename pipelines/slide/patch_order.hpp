// The order in which a model reads the patches of a slide: part of the model, and a function of their places alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/features/feature_bag.hpp"

namespace strandline {

enum class OrderKind : std::uint8_t { file, row, column, serpentine, hilbert, random };

struct PatchOrder {
  OrderKind kind = OrderKind::row;
  std::uint64_t seed = 0;  ///< of OrderKind::random

  bool operator==(const PatchOrder&) const = default;
};

/// "file", "row", "column", "serpentine", "hilbert", "random"
std::string_view name_of(OrderKind kind);
std::optional<OrderKind> order_kind_of(std::string_view name);

/// Position in the order -> index in the file; a permutation of [0, coordinates.size()).
///
/// row: by y, then x. column: by x, then y. serpentine: as row, every second row backwards. hilbert: along a Hilbert
/// curve. random: the row order, shuffled by `seed`. file: as they come.
///
/// All but `file` depend on how x and y compare and on nothing else: the same patches in another file order, in pixels
/// or micrometres, with another origin, come out the same. (Rows, columns and the cells of the Hilbert curve are ranks
/// among the slide's distinct y and x.) Patches at the same place keep their order in the file. Cost: a sort.
/// Source of the curve: Hilbert, "Ueber die stetige Abbildung einer Linie auf ein Flaechenstueck", Math. Ann. 38, 1891.
std::vector<std::int64_t> order_patches(std::span<const PatchCoordinate> coordinates, const PatchOrder& order);

}  // namespace strandline
