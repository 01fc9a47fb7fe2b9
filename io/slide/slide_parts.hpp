// The two kinds of slide behind slide.hpp. Internal to io/slide.
#pragma once

#include <memory>
#include <string>

#include "io/slide/slide.hpp"

namespace strandline {

/// Null when OpenSlide does not know the format. @throws DataError when it does and finds the file damaged.
std::unique_ptr<Slide> open_with_openslide(const std::string& path, const SlideOptions& options);

/// @throws DataError.
std::unique_ptr<Slide> open_with_libtiff(const std::string& path, const SlideOptions& options);

}  // namespace strandline
