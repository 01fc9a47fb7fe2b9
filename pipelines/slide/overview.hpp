// The whole slide as one small picture, for finding tissue and for people.
#pragma once

#include <cstdint>
#include <string>

#include "io/slide/slide.hpp"
#include "pipelines/slide/read_patches.hpp"

namespace strandline {

struct OverviewOptions {
  double downsample = 64.0;                         ///< the level with the largest downsample up to this is taken
  std::int64_t max_pixels = std::int64_t{1} << 24;  ///< a larger level is shrunk by a whole factor
  PatchReadOptions read{};
};

struct Overview {
  RgbImage picture;
  double scale_x = 1.0;  ///< level-0 pixels per pixel of `picture`
  double scale_y = 1.0;
  std::int64_t bad_blocks = 0;  ///< parts that could not be read and have the background colour
  std::string first_problem;
};

/// Reads a level in tile-aligned blocks on several threads. With OnBadTile::error a bad tile throws DataError; else it
/// is background, as nothing can be said about tissue there.
Overview read_overview(const SlideInfo& info, const SlideOptions& slide, const OverviewOptions& options);

}  // namespace strandline
