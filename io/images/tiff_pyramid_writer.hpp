// Pyramidal tiled TIFF, as slide viewers, OpenSlide and libvips read it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "io/images/image.hpp"
#include "io/images/resize.hpp"

namespace strandline {

struct TiffPyramidOptions {
  double spacing_um = 0.0;  ///< of level 0, into the resolution tags; 0: none is written
  std::int64_t tile = 256;  ///< side in pixels, a multiple of 16
  enum class Compression { jpeg, deflate } compression = Compression::jpeg;
  int jpeg_quality = 85;
  std::string description{};  ///< ImageDescription of level 0
};

/// Paints `box` of level 0 into `out`, which has its size. Called once per tile, row by row, in one thread.
using PaintBox = std::function<void(const ImageBox& box, RgbImage& out)>;

/// Level 0 as `paint` paints it, and levels of half the size each, none smaller than a tile. Memory: level 1, a quarter
/// of level 0. BigTIFF when level 0 has more than 2^30 bytes. Whole or absent, as OutputFile; the bytes depend on the
/// arguments and on libtiff's and libjpeg's versions alone. @throws ContractError, IoError.
void write_tiff_pyramid(const std::string& path, ImageSize size, const TiffPyramidOptions& options,
                        const PaintBox& paint);

}  // namespace strandline
