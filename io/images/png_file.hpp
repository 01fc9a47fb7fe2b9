// PNG files.
#pragma once

#include <string>

#include "io/images/image.hpp"

namespace strandline {

/// Eight bits a channel, no colour profile. Whole or absent, as OutputFile. @throws ContractError (no pixels, or more
/// than a PNG can have: 2^31 - 1 a side), IoError.
void write_png(const std::string& path, const RgbImage& image);
void write_png(const std::string& path, const GrayImage& image);

/// Any PNG, as eight-bit RGB; transparency on white. @throws DataError (no PNG, damaged), IoError, MemoryError (more
/// than 2^29 pixels).
RgbImage read_png(const std::string& path);

}  // namespace strandline
