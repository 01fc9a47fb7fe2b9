// Pictures made smaller or larger, and parts of them.
#pragma once

#include <cstdint>

#include "io/images/image.hpp"

namespace strandline {

struct ImageSize {
  std::int64_t width = 0;
  std::int64_t height = 0;
};

/// Each output pixel is the mean of the input area that it covers, per axis; where an axis grows, it is interpolated
/// linearly between pixel centres instead. Rounded to nearest. The same bits everywhere. Equal sizes copy.
/// @throws ContractError when a size is not positive.
RgbImage resized(const RgbImage& image, ImageSize size);

/// A part of a picture.
struct ImageBox {
  std::int64_t x = 0;
  std::int64_t y = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
};

/// Copies a box that lies inside `image`. @throws ContractError when it does not.
void crop(const RgbImage& image, const ImageBox& box, RgbImage& out);

}  // namespace strandline
