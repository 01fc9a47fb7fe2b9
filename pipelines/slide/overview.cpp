#include "pipelines/slide/overview.hpp"

#include <algorithm>
#include <cmath>

namespace strandline {
namespace {

constexpr std::int64_t kBlockPx = 1024;

std::size_t best_level(const SlideInfo& info, double downsample) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < info.levels.size(); ++i) {
    if (info.levels[i].downsample <= downsample) best = i;
  }
  return best;
}

// The smallest whole factor that brings a level under the limit.
std::int64_t shrink_factor(const SlideLevel& level, std::int64_t max_pixels) {
  std::int64_t factor = 1;
  while ((level.width / factor) * (level.height / factor) > max_pixels) ++factor;
  return factor;
}

void copy_part(const RgbImage& part, std::int64_t x, std::int64_t y, RgbImage& whole) {
  const std::int64_t columns = std::min(part.width, whole.width - x);
  const std::int64_t rows = std::min(part.height, whole.height - y);
  for (std::int64_t row = 0; row < rows && columns > 0; ++row) {
    std::copy_n(part.at(0, row), columns * 3, whole.at(x, y + row));
  }
}

}  // namespace

Overview read_overview(const SlideInfo& info, const SlideOptions& slide, const OverviewOptions& options) {
  const std::size_t level_index = best_level(info, options.downsample);
  const SlideLevel& level = info.levels[level_index];
  const std::int64_t factor = shrink_factor(level, options.max_pixels);
  // A block is whole tiles where these are known, and a multiple of the factor, so that every mean lies in one block.
  const std::int64_t tile = level.tile_width == level.tile_height ? std::max<std::int64_t>(1, level.tile_width) : 1;
  const std::int64_t unit = tile <= kBlockPx ? tile * factor : factor;
  const std::int64_t side = std::max<std::int64_t>(1, kBlockPx / unit) * unit;

  PatchReadPlan plan{.path = info.path, .slide = slide, .level = static_cast<int>(level_index)};
  plan.read_px = side;
  plan.patch_px = side / factor;
  Overview overview;
  overview.picture.reset(std::max<std::int64_t>(1, level.width / factor),
                         std::max<std::int64_t>(1, level.height / factor));
  std::vector<PatchPlace> corners;
  for (std::int64_t y = 0; y < level.height; y += side) {
    for (std::int64_t x = 0; x < level.width; x += side) {
      plan.places.push_back({std::llround(static_cast<double>(x) * level.downsample),
                             std::llround(static_cast<double>(y) * level.downsample)});
      corners.push_back({x / factor, y / factor});
    }
  }
  PatchReadOptions read = options.read;
  if (read.on_bad_tile == OnBadTile::skip) read.on_bad_tile = OnBadTile::mask;
  read.block_px = side;
  const PatchReadCounts counts = read_patches(plan, read, [&](ReadPatch&& part) {
    const PatchPlace corner = corners[static_cast<std::size_t>(part.index)];
    copy_part(part.pixels, corner.x_l0px, corner.y_l0px, overview.picture);
  });
  overview.bad_blocks = counts.bad;
  overview.first_problem = counts.first_problem;
  overview.scale_x =
      static_cast<double>(info.levels[0].width) / static_cast<double>(level.width) * static_cast<double>(factor);
  overview.scale_y =
      static_cast<double>(info.levels[0].height) / static_cast<double>(level.height) * static_cast<double>(factor);
  return overview;
}

}  // namespace strandline
