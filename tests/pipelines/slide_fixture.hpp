// Slides that tests can count on: flat colours where they say.
#pragma once

#include <functional>
#include <string>

#include "io/images/tiff_pyramid_writer.hpp"

namespace strandline::testing {

inline constexpr Rgb kPink{220, 120, 180};

/// kPink where `tissue`, white elsewhere; deflated, tiles of 64, 0.5 um per pixel.
inline void write_painted_slide(const std::string& path, ImageSize size,
                                const std::function<bool(std::int64_t x, std::int64_t y)>& tissue) {
  const TiffPyramidOptions options{
      .spacing_um = 0.5, .tile = 64, .compression = TiffPyramidOptions::Compression::deflate};
  write_tiff_pyramid(path, size, options, [&](const ImageBox& box, RgbImage& out) {
    for (std::int64_t y = 0; y < box.height; ++y) {
      for (std::int64_t x = 0; x < box.width; ++x) {
        const Rgb colour = tissue(box.x + x, box.y + y) ? kPink : kWhite;
        std::copy(colour.begin(), colour.end(), out.at(x, y));
      }
    }
  });
}

}  // namespace strandline::testing
