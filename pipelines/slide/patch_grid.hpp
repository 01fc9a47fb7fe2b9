// Where the patches of a slide lie.
#pragma once

#include <cstdint>
#include <vector>

#include "pipelines/slide/read_patches.hpp"
#include "pipelines/slide/tissue_mask.hpp"

namespace strandline {

enum class GridAnchor {
  slide,    ///< one lattice from (0, 0), row by row; a patch is kept by its share of tissue (TRIDENT)
  contour,  ///< one lattice per contour from its bounding box, column by column; kept by points (CLAM)
};

struct GridOptions {
  std::int64_t patch_l0px = 256;
  std::int64_t step_l0px = 256;  ///< from one patch to the next
  GridAnchor anchor = GridAnchor::slide;
  double min_tissue = 0.0;  ///< anchor slide: share of the patch; 0 keeps what touches tissue at all
  ContourTest contour_test = ContourTest::four_pt;  ///< anchor contour
  Edges edges = Edges::pad;
};

/// Anchor `slide`: the mask's pixels that a patch touches are counted, those in kept contours and not in kept holes are
/// tissue. Anchor `contour`: the contours in their order; a patch whose centre lies in a kept hole is left out; where
/// contours' lattices overlap, patches do too, as in CLAM.
/// @throws ContractError when a size is not positive, MemoryError beyond 2^28 places.
std::vector<PatchPlace> make_grid(const TissueMask& tissue, const SlideLevel& level0, const GridOptions& options);

}  // namespace strandline
