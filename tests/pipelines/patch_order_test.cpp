#include "pipelines/slide/patch_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

namespace strandline {
namespace {

using Places = std::vector<PatchCoordinate>;
using Indices = std::vector<std::int64_t>;

// Three columns, two rows, listed as CLAM does: x slow, y fast.
const Places kGrid{{0, 0}, {0, 256}, {256, 0}, {256, 256}, {512, 0}, {512, 256}};

constexpr OrderKind kByPlace[] = {OrderKind::row, OrderKind::column, OrderKind::serpentine, OrderKind::hilbert,
                                  OrderKind::random};

// A tissue with holes and a ragged edge, on a grid of 17 x 23.
Places ragged() {
  Places places;
  for (int y = 0; y < 17; ++y) {
    for (int x = 0; x < 23; ++x) {
      if ((x * 7 + y * 5) % 4 != 0) places.push_back({1000 + 256.0 * x, 3000 + 256.0 * y});
    }
  }
  return places;
}

Places in_order(const Places& places, const PatchOrder& order) {
  Places out;
  for (const std::int64_t i : order_patches(places, order)) out.push_back(places[static_cast<std::size_t>(i)]);
  return out;
}

TEST(PatchOrder, OfASmallGridIsAsItsNameSays) {
  EXPECT_EQ(order_patches(kGrid, {OrderKind::file}), (Indices{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(order_patches(kGrid, {OrderKind::row}), (Indices{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(order_patches(kGrid, {OrderKind::column}), (Indices{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(order_patches(kGrid, {OrderKind::serpentine}), (Indices{0, 2, 4, 5, 3, 1}));
}

// The curve of order one: down, right, up; of order two it visits neighbours only.
TEST(PatchOrder, HilbertGoesFromNeighbourToNeighbour) {
  for (const int side : {1, 2, 4, 8, 32}) {
    Places square;
    for (int x = 0; x < side; ++x) {
      for (int y = 0; y < side; ++y) square.push_back({static_cast<double>(x), static_cast<double>(y)});
    }
    const Places walked = in_order(square, {OrderKind::hilbert});
    for (std::size_t i = 1; i < walked.size(); ++i) {
      EXPECT_EQ(std::abs(walked[i].x - walked[i - 1].x) + std::abs(walked[i].y - walked[i - 1].y), 1)
          << side << ' ' << i;
    }
  }
}

TEST(PatchOrder, IsAPermutation) {
  const Places places = ragged();
  Indices all(places.size());
  std::iota(all.begin(), all.end(), 0);
  for (const OrderKind kind : kByPlace) {
    Indices order = order_patches(places, {kind, 3});
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, all) << name_of(kind);
  }
}

TEST(PatchOrder, DependsOnPlacesAndNotOnTheFile) {
  const Places places = ragged();
  for (const OrderKind kind : kByPlace) {
    const Places expected = in_order(places, {kind, 3});
    Places reversed(places.rbegin(), places.rend());
    EXPECT_EQ(in_order(reversed, {kind, 3}), expected) << name_of(kind);
    std::rotate(reversed.begin(), reversed.begin() + 77, reversed.end());
    EXPECT_EQ(in_order(reversed, {kind, 3}), expected) << name_of(kind);
  }
}

TEST(PatchOrder, IsTheSameInMicrometresAndFromAnotherOrigin) {
  const Places pixels = ragged();
  Places micrometres;
  for (const PatchCoordinate& at : pixels) {
    micrometres.push_back({static_cast<float>(at.x * 0.2527) + 10.0, static_cast<float>(at.y * 0.2527) - 70.0});
  }
  for (const OrderKind kind : kByPlace)
    EXPECT_EQ(order_patches(micrometres, {kind, 3}), order_patches(pixels, {kind, 3})) << name_of(kind);
}

TEST(PatchOrder, RandomFollowsItsSeed) {
  const Places places = ragged();

  EXPECT_EQ(order_patches(places, {OrderKind::random, 1}), order_patches(places, {OrderKind::random, 1}));
  EXPECT_NE(order_patches(places, {OrderKind::random, 1}), order_patches(places, {OrderKind::random, 2}));
}

TEST(PatchOrder, KeepsTheFilesOrderForPatchesAtOnePlace) {
  const Places places{{5, 5}, {0, 0}, {5, 5}, {0, 0}};

  EXPECT_EQ(order_patches(places, {OrderKind::row}), (Indices{1, 3, 0, 2}));
  EXPECT_TRUE(order_patches({}, {OrderKind::hilbert}).empty());
}

TEST(PatchOrder, HasNamesThatReadBack) {
  for (const OrderKind kind : kByPlace) EXPECT_EQ(order_kind_of(name_of(kind)), kind);
  EXPECT_FALSE(order_kind_of("diagonal"));
}

}  // namespace
}  // namespace strandline
