#include "pipelines/slide/choose_level.hpp"

#include <fmt/format.h>

#include <cmath>

#include "core/base/error.hpp"

namespace strandline {

LevelChoice choose_level(const SlideInfo& info, const PatchScale& scale) {
  const double level0_um = require_spacing(info);
  const double factor = scale.spacing_um / level0_um;
  if (factor < 1.0 - scale.tolerance) {
    throw DataError({.file = info.path},
                    fmt::format("its finest level has {:.4g} um per pixel, coarser than the {:.4g} um asked for",
                                level0_um, scale.spacing_um),
                    fmt::format("Ask for --mpp {:.4g} or more", level0_um));
  }
  LevelChoice choice{.level0_spacing_um = level0_um};
  for (std::size_t i = 1; i < info.levels.size(); ++i) {
    const double downsample = info.levels[i].downsample;
    if (downsample > factor * (1.0 + scale.tolerance) || downsample <= choice.downsample) continue;
    choice.level = static_cast<int>(i);
    choice.downsample = downsample;
  }
  const double rest = factor / choice.downsample;
  const bool as_it_is = std::abs(rest - 1.0) <= scale.tolerance;
  const auto patch = static_cast<double>(scale.patch_px);
  choice.read_px = as_it_is ? scale.patch_px : std::llround(patch * rest);
  choice.patch_l0px = std::llround(patch * (as_it_is ? choice.downsample : factor));
  return choice;
}

int magnification_of(double spacing_um) {
  struct Row {
    double below_um;
    int magnification;
  };
  for (const Row row : {Row{0.16, 80}, {0.2, 60}, {0.3, 40}, {0.6, 20}, {1.2, 10}, {2.4, 5}}) {
    if (spacing_um < row.below_um) return row.magnification;
  }
  return 0;
}

}  // namespace strandline
