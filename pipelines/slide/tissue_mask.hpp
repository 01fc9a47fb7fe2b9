// Where on a slide there is tissue.
#pragma once

#include <cstdint>
#include <vector>

#include "io/images/image.hpp"
#include "pipelines/slide/overview.hpp"
#include "pipelines/slide/tissue_rules.hpp"

namespace strandline {

/// Level-0 pixels.
struct OutlinePoint {
  std::int32_t x = 0;
  std::int32_t y = 0;

  bool operator==(const OutlinePoint&) const = default;
};

/// Closed: the last point is joined to the first.
using Outline = std::vector<OutlinePoint>;

struct TissueContour {
  Outline outer{};
  std::vector<Outline> holes{};
};

struct TissueMask {
  GrayImage mask{};      ///< 255 in the kept contours, 0 in their kept holes and elsewhere; as large as the overview
  double scale_x = 1.0;  ///< level-0 pixels per pixel of `mask`
  double scale_y = 1.0;
  std::vector<TissueContour> contours{};
};

/// Saturation of HSV (0 to 255), median filter, threshold (strictly above) or Otsu, closing with a square, contours
/// with holes. A contour is kept when its area less that of all its holes is above min_tissue_patches times the area of
/// 512 x 512 level-0 pixels; then of its holes the max_holes largest, those above min_hole_patches times that area. An
/// area is the polygon's through the outermost pixel centres. Points are scaled to level 0 and cut to whole pixels.
/// Nothing found: no contour. One thread. @throws ContractError (check_tissue_rules).
/// Source: the rules of CLAM (Lu et al., Nat Biomed Eng 2021) as docs/formats.md states them.
TissueMask find_tissue(const Overview& overview, const TissueRules& rules);

}  // namespace strandline
