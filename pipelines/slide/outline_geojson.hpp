// Tissue outlines for QuPath.
#pragma once

#include <string>

#include "io/slide/slide.hpp"
#include "pipelines/slide/tissue_mask.hpp"

namespace strandline {

/// A GeoJSON FeatureCollection: one annotation "Tissue" per contour, a polygon with its holes in level-0 pixels, and
/// its number as tissue_id. Coordinates count from the corner of `origin`: QuPath shows MIRAX and Leica slides from the
/// corner of what was scanned. Points on a straight line between their neighbours are left out. Ids depend on `name`
/// and the outlines alone. Whole or absent, as OutputFile. @throws IoError.
void write_outlines(const std::string& path, const std::string& name, const TissueMask& tissue,
                    const SlideBounds& origin);

}  // namespace strandline
