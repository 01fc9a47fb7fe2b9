#include "pipelines/slide/read_patches.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/error.hpp"
#include "io/images/resize.hpp"
#include "pipelines/stages/map_in_order.hpp"

namespace strandline {
namespace {

// Patches read together: one read of the box when `box` is set, else one each.
struct Block {
  std::vector<std::int64_t> members;
  std::optional<SlideRegion> box;
};

struct BlockResult {
  std::vector<ReadPatch> patches;
  std::string first_problem;
};

// A decoded tile serves all patches on it when they are read at once; but a box with more than twice the pixels that
// are wanted costs more than it saves. Pixels are the same only when all corners lie on the pixels of one lattice:
// OpenSlide interpolates between them.
std::optional<SlideRegion> common_box(const PatchReadPlan& plan, double downsample,
                                      const std::vector<std::int64_t>& members) {
  const auto place = [&](std::int64_t i) { return plan.places[static_cast<std::size_t>(i)]; };
  PatchPlace least = place(members.front());
  PatchPlace most = least;
  for (const std::int64_t i : members) {
    least = {std::min(least.x_l0px, place(i).x_l0px), std::min(least.y_l0px, place(i).y_l0px)};
    most = {std::max(most.x_l0px, place(i).x_l0px), std::max(most.y_l0px, place(i).y_l0px)};
  }
  const auto on_lattice = [&](std::int64_t distance_l0px) {
    const double distance = static_cast<double>(distance_l0px) / downsample;
    return distance == std::floor(distance);
  };
  for (const std::int64_t i : members) {
    if (!on_lattice(place(i).x_l0px - least.x_l0px) || !on_lattice(place(i).y_l0px - least.y_l0px)) return std::nullopt;
  }
  const auto pixels = [&](std::int64_t distance_l0px) {
    return static_cast<std::int64_t>(static_cast<double>(distance_l0px) / downsample);
  };
  const SlideRegion box{least.x_l0px, least.y_l0px, plan.level, pixels(most.x_l0px - least.x_l0px) + plan.read_px,
                        pixels(most.y_l0px - least.y_l0px) + plan.read_px};
  const std::int64_t wanted = static_cast<std::int64_t>(members.size()) * plan.read_px * plan.read_px;
  if (box.width * box.height > 2 * wanted) return std::nullopt;
  return box;
}

std::vector<Block> make_blocks(const PatchReadPlan& plan, double downsample, std::int64_t block_px) {
  const double side = static_cast<double>(std::max(block_px, plan.read_px)) * downsample;
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::int64_t>> groups;
  for (std::size_t i = 0; i < plan.places.size(); ++i) {
    const auto cell = [&](std::int64_t l0px) {
      return static_cast<std::int64_t>(std::floor(static_cast<double>(l0px) / side));
    };
    groups[{cell(plan.places[i].y_l0px), cell(plan.places[i].x_l0px)}].push_back(static_cast<std::int64_t>(i));
  }
  std::vector<Block> blocks;
  blocks.reserve(groups.size());
  for (auto& [cell, members] : groups) {
    auto box = common_box(plan, downsample, members);
    blocks.push_back({std::move(members), box});
  }
  return blocks;
}

class BlockReader {
 public:
  BlockReader(const PatchReadPlan& plan, const PatchReadOptions& options)
      : plan_(plan), options_(options), slide_(open_slide(plan.path, plan.slide)) {}

  BlockResult read(const Block& block) {
    if (options_.stop.stop_requested()) throw InterruptedError("stopped while reading " + plan_.path);
    BlockResult result;
    if (block.box && read_together(block, result)) return result;
    for (const std::int64_t i : block.members) result.patches.push_back(read_alone(i, result.first_problem));
    return result;
  }

 private:
  // False when a tile is bad: then each patch is tried for itself, so that only those on the tile are lost.
  bool read_together(const Block& block, BlockResult& result) {
    try {
      slide_->read(*block.box, area_);
    } catch (const DataError&) {
      if (options_.on_bad_tile == OnBadTile::error) throw;
      return false;
    }
    const double downsample = slide_->info().levels[static_cast<std::size_t>(plan_.level)].downsample;
    const auto pixels = [&](std::int64_t l0px) {
      return static_cast<std::int64_t>(static_cast<double>(l0px) / downsample);
    };
    for (const std::int64_t i : block.members) {
      const PatchPlace place = plan_.places[static_cast<std::size_t>(i)];
      ReadPatch patch{.index = i};
      crop(area_,
           {pixels(place.x_l0px - block.box->x_l0px), pixels(place.y_l0px - block.box->y_l0px), plan_.read_px,
            plan_.read_px},
           patch.pixels);
      scale(patch.pixels);
      result.patches.push_back(std::move(patch));
    }
    return true;
  }

  ReadPatch read_alone(std::int64_t index, std::string& first_problem) {
    const PatchPlace place = plan_.places[static_cast<std::size_t>(index)];
    ReadPatch patch{.index = index};
    try {
      slide_->read({place.x_l0px, place.y_l0px, plan_.level, plan_.read_px, plan_.read_px}, patch.pixels);
      scale(patch.pixels);
    } catch (const DataError& error) {
      if (options_.on_bad_tile == OnBadTile::error) throw;
      patch.bad = true;
      patch.pixels = {};
      if (first_problem.empty()) first_problem = error.what();
      if (options_.on_bad_tile == OnBadTile::mask) fill_with_background(patch.pixels);
    }
    return patch;
  }

  void fill_with_background(RgbImage& pixels) const {
    pixels.reset(plan_.patch_px, plan_.patch_px);
    const Rgb background = slide_->info().background;
    for (std::size_t i = 0; i < pixels.pixels.size(); ++i) pixels.pixels[i] = background[i % 3];
  }

  void scale(RgbImage& pixels) const {
    if (plan_.read_px != plan_.patch_px) pixels = resized(pixels, {plan_.patch_px, plan_.patch_px});
  }

  const PatchReadPlan& plan_;
  const PatchReadOptions& options_;
  std::unique_ptr<Slide> slide_;
  RgbImage area_;
};

}  // namespace

OnBadTile parse_on_bad_tile(const std::string& text) {
  if (text == "error") return OnBadTile::error;
  if (text == "skip") return OnBadTile::skip;
  if (text == "mask") return OnBadTile::mask;
  throw ContractError("on bad tile: '" + text + "', expected error, skip or mask");
}

PatchReadCounts read_patches(const PatchReadPlan& plan, const PatchReadOptions& options,
                             const std::function<void(ReadPatch&&)>& use) {
  PatchReadCounts counts;
  if (plan.places.empty()) return counts;
  if (plan.read_px <= 0 || plan.patch_px <= 0) throw ContractError("read_patches: a patch without pixels");
  const auto first = open_slide(plan.path, plan.slide);
  if (plan.level < 0 || static_cast<std::size_t>(plan.level) >= first->info().levels.size()) {
    throw ContractError("read_patches: " + plan.path + " has no level " + std::to_string(plan.level));
  }
  const double downsample = first->info().levels[static_cast<std::size_t>(plan.level)].downsample;
  const std::vector<Block> blocks = make_blocks(plan, downsample, options.block_px);
  const auto make_worker = [&] {
    auto reader = std::make_shared<BlockReader>(plan, options);
    return [&blocks, reader](std::int64_t i) { return reader->read(blocks[static_cast<std::size_t>(i)]); };
  };
  const MapOptions map{.threads = options.threads, .ahead = 2};
  map_in_order<BlockResult>(static_cast<std::int64_t>(blocks.size()), map, make_worker, [&](BlockResult&& result) {
    if (counts.first_problem.empty()) counts.first_problem = result.first_problem;
    for (ReadPatch& patch : result.patches) {
      ++counts.patches;
      if (patch.bad) ++counts.bad;
      use(std::move(patch));
    }
  });
  return counts;
}

}  // namespace strandline
