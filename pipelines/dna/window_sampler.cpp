#include "pipelines/dna/window_sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/checked.hpp"
#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

// With half of a genome unknown, a window is refused this often about once in 10^300 draws.
constexpr int kMostTries = 1000;

bool too_unknown(const GenomeStore& store, const Window& window, double max_fraction) {
  const std::int64_t unknown = store.unknown_bases(window.contig, window.begin, window.begin + window.length);
  return static_cast<double>(unknown) > max_fraction * static_cast<double>(window.length);
}

}  // namespace

void read_window(const GenomeStore& store, const Window& window, std::vector<std::int32_t>& ids) {
  ids.resize(static_cast<std::size_t>(window.length));
  store.copy_ids(window.contig, window.begin, window.begin + window.length, ids.data());
  if (window.reverse) dna::reverse_complement(ids.data(), ids.data() + ids.size());
}

// The random numbers of one window.
class WindowSampler::Draws {
 public:
  Draws(std::uint64_t seed, std::int64_t index) : stream_(seed, static_cast<std::uint64_t>(index)) {}

  double uniform() { return stream_.uniform(); }
  bool coin() { return (stream_.next_u64() & 1U) != 0; }
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(stream_.below(static_cast<std::uint64_t>(bound)));
  }

 private:
  RandomStream stream_;
};

WindowSampler::WindowSampler(const GenomeStore& store, const std::vector<std::vector<Region>>& regions,
                             const std::vector<std::string>& class_names, const SamplerOptions& options)
    : store_(store), options_(options) {
  double total = 0;
  for (std::size_t class_id = 0; class_id < regions.size(); ++class_id) {
    ClassSpace space{class_names[class_id], regions[class_id], {0}};
    std::ranges::stable_sort(space.regions, std::ranges::greater{}, &Region::length);
    for (const Region& region : space.regions)
      space.bases_before.push_back(space.bases_before.back() + region.length());
    if (space.regions.empty() || space.regions.front().length() < options_.min_length) {
      throw DataError(
          {},
          fmt::format("class '{}' has no sequence of at least {} bases to train on", space.name, options_.min_length),
          "Give longer sequences, or take a smaller --length");
    }
    total += options_.weighting == ClassWeighting::uniform ? 1.0 : static_cast<double>(space.bases_before.back());
    class_ends_.push_back(total);
    classes_.push_back(std::move(space));
  }
  for (double& end : class_ends_) end /= total;
  for (const ClassSpace& space : classes_) {
    Draws draws(options_.seed, 0);
    Window window;
    if (draw(space, draws, window)) continue;
    throw DataError({},
                    fmt::format("class '{}' has no window of {} bases with at most {:.0f} % N", space.name,
                                options_.min_length, 100 * options_.max_unknown_fraction),
                    "Give an assembly with fewer gaps, or take a smaller --length");
  }
}

bool WindowSampler::draw(const ClassSpace& space, Draws& draws, Window& window) const {
  const std::int64_t longest = std::min(options_.max_length, space.regions.front().length());
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    window.length = options_.min_length + draws.below(longest - options_.min_length + 1);
    // Regions are sorted, so those that hold a window of this length are the first `usable`, and region r offers
    // length(r) - window + 1 starts: their prefix sums follow from those of the lengths.
    const auto end = std::ranges::partition_point(
        space.regions, [&](const Region& region) { return region.length() >= window.length; });
    const auto usable = end - space.regions.begin();
    const auto starts_before = [&](std::ptrdiff_t region) {
      return space.bases_before[static_cast<std::size_t>(region)] - region * (window.length - 1);
    };
    const std::int64_t start = draws.below(starts_before(usable));
    std::ptrdiff_t low = 0;
    std::ptrdiff_t high = usable - 1;
    while (low < high) {
      const std::ptrdiff_t middle = (low + high + 1) / 2;
      if (starts_before(middle) <= start) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    const Region& region = space.regions[static_cast<std::size_t>(low)];
    window.contig = region.contig;
    window.begin = region.begin + start - starts_before(low);
    if (!too_unknown(store_, window, options_.max_unknown_fraction)) return true;
  }
  return false;
}

Window WindowSampler::window(std::int64_t index) const {
  Draws draws(options_.seed, index);
  const double where = draws.uniform();
  const auto found = std::ranges::upper_bound(class_ends_, where) - class_ends_.begin();
  const auto class_id = std::min(static_cast<std::size_t>(found), classes_.size() - 1);
  Window window;
  window.class_id = static_cast<std::int32_t>(class_id);
  if (!draw(classes_[class_id], draws, window)) {
    throw DataError({},
                    fmt::format("class '{}' has hardly any window with at most {:.0f} % N", classes_[class_id].name,
                                100 * options_.max_unknown_fraction),
                    "Give an assembly with fewer gaps, or take a smaller --length");
  }
  window.reverse = options_.both_strands && draws.coin();
  return window;
}

std::int32_t WindowSampler::example(std::int64_t index, std::vector<std::int32_t>& ids) const {
  const Window chosen = window(index);
  read_window(store_, chosen, ids);
  return chosen.class_id;
}

namespace {

std::vector<Window> tiles_of(const GenomeStore& store, std::size_t class_id, const std::vector<Region>& regions,
                             const TilingOptions& options) {
  std::vector<Window> tiles;
  for (const Region& region : regions) {
    for (std::int64_t begin = region.begin; begin + options.length <= region.end; begin += options.length) {
      const Window tile{static_cast<std::int32_t>(class_id), region.contig, begin, options.length, false};
      if (!too_unknown(store, tile, options.max_unknown_fraction)) tiles.push_back(tile);
    }
  }
  return tiles;
}

}  // namespace

WindowTiling::WindowTiling(const GenomeStore& store, const std::vector<std::vector<Region>>& regions,
                           const std::vector<std::string>& class_names, const TilingOptions& options)
    : store_(store) {
  for (std::size_t class_id = 0; class_id < regions.size(); ++class_id) {
    const std::vector<Window> tiles = tiles_of(store, class_id, regions[class_id], options);
    const auto count = static_cast<std::int64_t>(tiles.size());
    const std::int64_t apart = std::min(options.set_apart, ceil_div(count, 3));
    // A single tile serves both ends: better judged by what chose than not at all.
    const std::int64_t first = options.give_set_apart || count == 1 ? 0 : apart;
    const std::int64_t available = options.give_set_apart ? apart : count - first;
    if (available == 0) {
      throw DataError(
          {}, fmt::format("class '{}' has no held-out stretch of {} bases", class_names[class_id], options.length),
          "Hold out longer sequences, or judge at a smaller length");
    }
    const std::uint64_t order_seed = options.seed + class_id;
    for (std::int64_t position = first; position < first + std::min(available, options.windows_per_class); ++position) {
      Window chosen = tiles[static_cast<std::size_t>(permuted(order_seed, 0, count, position))];
      chosen.reverse =
          options.both_strands && (philox(order_seed, 1, static_cast<std::uint64_t>(position))[0] & 1U) != 0;
      windows_.push_back(chosen);
    }
  }
}

std::int32_t WindowTiling::example(std::int64_t index, std::vector<std::int32_t>& ids) const {
  const Window& window = windows_[static_cast<std::size_t>(index)];
  read_window(store_, window, ids);
  return window.class_id;
}

}  // namespace strandline
