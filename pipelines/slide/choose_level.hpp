// From micrometres per pixel to a level of the pyramid and a scale.
#pragma once

#include <cstdint>

#include "io/slide/slide.hpp"

namespace strandline {

struct PatchScale {
  double spacing_um = 0.5;      ///< micrometres per pixel of a patch
  std::int64_t patch_px = 256;  ///< side of a patch
  double tolerance = 0.01;      ///< a level as near as this is taken as it is
};

struct LevelChoice {
  int level = 0;
  double downsample = 1.0;      ///< of the level
  std::int64_t read_px = 0;     ///< side to read from the level; another than patch_px is resized to it
  std::int64_t patch_l0px = 0;  ///< side in level-0 pixels
  double level0_spacing_um = 0.0;
};

/// The level with the largest downsample that is at most spacing_um / level-0 spacing, so that pixels are averaged and
/// never invented. Within the tolerance of a level: its pixels as they are (read_px = patch_px).
/// @throws DataError when the slide does not say its spacing, or level 0 is coarser than asked for.
LevelChoice choose_level(const SlideInfo& info, const PatchScale& scale);

/// The objective that a spacing goes with, as TRIDENT's table has it: 80, 60, 40, 20, 10 or 5; 0 beyond 2.4 um.
int magnification_of(double spacing_um);

}  // namespace strandline
