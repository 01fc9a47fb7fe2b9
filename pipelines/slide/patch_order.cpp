#include "pipelines/slide/patch_order.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "core/base/names.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

constexpr Names<OrderKind, 6> kNames{{{OrderKind::file, "file"},
                                      {OrderKind::row, "row"},
                                      {OrderKind::column, "column"},
                                      {OrderKind::serpentine, "serpentine"},
                                      {OrderKind::hilbert, "hilbert"},
                                      {OrderKind::random, "random"}}};

using Ranks = std::vector<std::uint64_t>;

// Of each patch's x (or y) among the distinct ones.
Ranks ranks_of(std::span<const PatchCoordinate> coordinates, double PatchCoordinate::*axis) {
  std::vector<double> distinct;
  for (const PatchCoordinate& at : coordinates) distinct.push_back(at.*axis);
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  Ranks ranks;
  for (const PatchCoordinate& at : coordinates) {
    ranks.push_back(
        static_cast<std::uint64_t>(std::lower_bound(distinct.begin(), distinct.end(), at.*axis) - distinct.begin()));
  }
  return ranks;
}

// Place of cell (x, y) on the curve through a square of 2^bits cells a side. From the largest quarter to the smallest:
// which quarter, then turn the square so that the quarter's curve begins where it should.
std::uint64_t hilbert_index(std::uint64_t x, std::uint64_t y, int bits) {
  std::uint64_t index = 0;
  for (int bit = bits - 1; bit >= 0; --bit) {
    const std::uint64_t side = std::uint64_t{1} << bit;
    const std::uint64_t right = x >> bit & 1U;
    const std::uint64_t below = y >> bit & 1U;
    index = index << 2U | ((3 * right) ^ below);
    x &= side - 1;
    y &= side - 1;
    if (below == 1) continue;
    if (right == 1) {
      x = side - 1 - x;
      y = side - 1 - y;
    }
    std::swap(x, y);
  }
  return index;
}

struct Key {
  std::uint64_t major;
  std::uint64_t minor;
};

std::vector<Key> keys_of(const Ranks& x, const Ranks& y, OrderKind kind) {
  const std::uint64_t last_x = x.empty() ? 0 : *std::max_element(x.begin(), x.end());
  const std::uint64_t last_y = y.empty() ? 0 : *std::max_element(y.begin(), y.end());
  const int bits = std::bit_width(std::max(last_x, last_y));
  std::vector<Key> keys;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool backwards = kind == OrderKind::serpentine && y[i] % 2 == 1;
    switch (kind) {
      case OrderKind::column: keys.push_back({x[i], y[i]}); break;
      case OrderKind::hilbert: keys.push_back({hilbert_index(x[i], y[i], bits), 0}); break;
      default: keys.push_back({y[i], backwards ? last_x - x[i] : x[i]}); break;
    }
  }
  return keys;
}

}  // namespace

std::string_view name_of(OrderKind kind) { return name_in(kNames, kind); }

std::optional<OrderKind> order_kind_of(std::string_view name) { return value_in(kNames, name); }

std::vector<std::int64_t> order_patches(std::span<const PatchCoordinate> coordinates, const PatchOrder& order) {
  std::vector<std::int64_t> indices(coordinates.size());
  std::iota(indices.begin(), indices.end(), 0);
  if (order.kind == OrderKind::file) return indices;
  const std::vector<Key> keys =
      keys_of(ranks_of(coordinates, &PatchCoordinate::x), ranks_of(coordinates, &PatchCoordinate::y), order.kind);
  std::stable_sort(indices.begin(), indices.end(), [&](std::int64_t a, std::int64_t b) {
    const Key& one = keys[static_cast<std::size_t>(a)];
    const Key& other = keys[static_cast<std::size_t>(b)];
    return std::pair(one.major, one.minor) < std::pair(other.major, other.minor);
  });
  if (order.kind != OrderKind::random) return indices;
  std::vector<std::int64_t> shuffled;
  for (std::int64_t position = 0; position < std::ssize(indices); ++position) {
    shuffled.push_back(indices[static_cast<std::size_t>(permuted(order.seed, 0, std::ssize(indices), position))]);
  }
  return shuffled;
}

}  // namespace strandline
