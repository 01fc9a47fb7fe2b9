// Pictures of a slide for people.
#pragma once

#include <cstdint>
#include <span>

#include "io/images/image.hpp"
#include "pipelines/slide/overview.hpp"
#include "pipelines/slide/tissue_mask.hpp"

namespace strandline {

/// The overview with its longer side at most `max_side` pixels; never enlarged.
RgbImage make_thumbnail(const Overview& overview, std::int64_t max_side);

/// What is drawn on a thumbnail of the slide.
struct GridPicture {
  std::int64_t slide_width_l0px = 0;  ///< width of level 0, which is that of the thumbnail
  std::int64_t patch_l0px = 0;
  std::span<const PatchPlace> places;
  std::span<const TissueContour> contours;
};

/// Outlines of contours in green, of holes in blue, patches in black.
void draw_grid(const GridPicture& grid, RgbImage& thumbnail);

}  // namespace strandline
