// What counts as tissue: CLAM's parameters, by name or from CLAM's CSV.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strandline {

/// Which points of a patch must lie in a contour (per-contour grids alone look at this).
enum class ContourTest {
  four_pt,       ///< any of four points, a quarter of the patch from its centre each way
  four_pt_hard,  ///< all four
  center,        ///< the centre
  basic,         ///< the upper left corner
};

enum class Edges {
  pad,     ///< patches may overrun the slide; what lies beyond has the background colour
  inside,  ///< they may not
};

struct TissueRules {
  double saturation_above = 8;    ///< CLAM's sthresh, of 255; not used with otsu
  int median_px = 7;              ///< mthresh: side of the median filter, odd
  int close_px = 4;               ///< side of the closing; 0: none
  bool otsu = false;              ///< threshold by Otsu's method
  double min_tissue_patches = 1;  ///< a_t: smallest contour, without its holes, in areas of 512 x 512 level-0 pixels
  double min_hole_patches = 1;    ///< a_h: smallest hole, likewise
  int max_holes = 8;              ///< of the largest, per contour
  Edges edges = Edges::pad;       ///< use_padding
  ContourTest contour_test = ContourTest::four_pt;

  bool operator==(const TissueRules&) const = default;
};

/// "small" (the defaults above: small pieces count), "clam" (CLAM's script: nothing below 100 areas), "tcga",
/// "bwh_biopsy", "bwh_resection". @throws ContractError listing the names.
TissueRules tissue_preset(const std::string& name);
const std::vector<std::string>& tissue_preset_names();

/// The first row of a CSV with CLAM's columns (sthresh, mthresh, close, use_otsu, a_t, a_h, max_n_holes, use_padding,
/// contour_fn; others are ignored). A column that is missing keeps the value of "clam". @throws DataError, IoError.
TissueRules read_tissue_rules(const std::string& path);

/// @throws ContractError saying what is wrong: an even or non-positive median, a negative area or count.
void check_tissue_rules(const TissueRules& rules);

/// "four_pt", ... @throws ContractError.
ContourTest parse_contour_test(const std::string& text);
std::string name_of(ContourTest test);

/// One line with every value, for attributes and fingerprints.
std::string describe(const TissueRules& rules);

}  // namespace strandline
