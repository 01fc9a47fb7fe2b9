// Micrometres per pixel: where a slide says it, and whether that can be true.
#pragma once

#include <optional>
#include <string>

#include "io/slide/slide.hpp"

namespace strandline {

/// Smaller and larger than any microscope's: resolution tags often hold 72 per inch, which would be 353 um.
inline constexpr double kMinSpacingUm = 0.05;
inline constexpr double kMaxSpacingUm = 10.0;

/// Sets spacing_um and spacing_source from info.properties: `openslide.mpp-x` and `-y`, else `tiff.XResolution`,
/// `tiff.YResolution` and `tiff.ResolutionUnit` ("inch" or "centimeter"), else options.assume_spacing_um, else none
/// with the reason. A value outside [kMinSpacingUm, kMaxSpacingUm], or with an x and a y that differ by more than 2 %,
/// is no value. The objective's power is never used: 20x is anything from 0.2 to 0.6 um per pixel.
void resolve_spacing(SlideInfo& info, const SlideOptions& options);

}  // namespace strandline
