// Small TIFF files for tests, written with libtiff in forms that our own writer has no need of.
#pragma once

#include <tiffio.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/images/image.hpp"

namespace strandline::testing {

/// What tells any two places of a picture apart.
inline Rgb test_colour(std::int64_t x, std::int64_t y) {
  return {static_cast<std::uint8_t>(x * 7 + y), static_cast<std::uint8_t>(y * 5 + x / 3),
          static_cast<std::uint8_t>(x ^ y)};
}

struct StrippedTiff {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t rows_per_strip = 0;
  double pixels_per_cm = 0.0;  ///< 0: none is written
  std::uint16_t orientation = ORIENTATION_TOPLEFT;
  bool transparent = false;  ///< a fourth channel: associated alpha of 0 in the left half, 255 in the right
};

/// RGB, deflated, test_colour at every place.
inline void write_stripped_tiff(const std::string& path, const StrippedTiff& form) {
  TIFF* tiff = TIFFOpen(path.c_str(), "w");
  if (tiff == nullptr) throw std::runtime_error("cannot write " + path);
  const std::uint16_t channels = form.transparent ? 4 : 3;
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, form.width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, form.height);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, channels);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, form.rows_per_strip);
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, form.orientation);
  if (form.transparent) {
    const std::uint16_t kind = EXTRASAMPLE_ASSOCALPHA;
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &kind);
  }
  if (form.pixels_per_cm > 0.0) {
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, form.pixels_per_cm);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, form.pixels_per_cm);
  }
  std::vector<std::uint8_t> row;
  bool written = true;
  for (std::uint32_t y = 0; y < form.height; ++y) {
    row.clear();
    for (std::uint32_t x = 0; x < form.width; ++x) {
      const bool clear = form.transparent && x < form.width / 2;
      for (const std::uint8_t value : test_colour(x, y)) row.push_back(clear ? std::uint8_t{0} : value);
      if (form.transparent) row.push_back(clear ? std::uint8_t{0} : std::uint8_t{255});
    }
    written = written && TIFFWriteScanline(tiff, row.data(), y, 0) == 1;
  }
  TIFFClose(tiff);
  if (!written) throw std::runtime_error("cannot write " + path);
}

inline Rgb pixel(const RgbImage& image, std::int64_t x, std::int64_t y) {
  const std::uint8_t* at = image.at(x, y);
  return {at[0], at[1], at[2]};
}

}  // namespace strandline::testing
