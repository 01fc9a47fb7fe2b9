// Which reader takes a file, and what to say when none does.
#include <openslide.h>

#include <array>
#include <cstring>

#include "core/base/error.hpp"
#include "io/bytes/input_file.hpp"
#include "io/bytes/local_path.hpp"
#include "io/slide/slide_parts.hpp"

namespace strandline {
namespace {

bool is_tiff(const std::array<char, 132>& start) {
  const auto begins = [&](const char(&magic)[5]) { return std::memcmp(start.data(), magic, 4) == 0; };
  return begins("II*\0") || begins("MM\0*") || begins("II+\0") || begins("MM\0+");
}

[[noreturn]] void refuse(const std::string& path, const std::array<char, 132>& start) {
  const std::string version = openslide_get_version();
  if (std::memcmp(start.data() + 128, "DICM", 4) == 0) {
    throw DataError({.file = path}, "a DICOM file, which OpenSlide " + version + " does not read",
                    "Convert it to a pyramidal TIFF, or build with OpenSlide 4 or later");
  }
  throw DataError({.file = path}, "not a slide: neither OpenSlide " + version + " nor libtiff knows this format",
                  "Check that it is the image itself, whole, with the files that belong to it");
}

}  // namespace

void Slide::check(const SlideRegion& region) const {
  if (region.level < 0 || static_cast<std::size_t>(region.level) >= info_.levels.size()) {
    throw ContractError("Slide::read: " + info_.path + ": level " + std::to_string(region.level) + " of " +
                        std::to_string(info_.levels.size()));
  }
  if (region.width < 0 || region.height < 0) throw ContractError("Slide::read: " + info_.path + ": a negative size");
}

std::unique_ptr<Slide> open_slide(const std::string& path, const SlideOptions& options) {
  require_local_path(path);
  std::array<char, 132> start{};
  {
    const InputFile file(path);
    const auto size = std::min<std::int64_t>(file.size_bytes(), static_cast<std::int64_t>(start.size()));
    file.read_at(0, start.data(), static_cast<std::size_t>(size));
  }
  if (auto slide = open_with_openslide(path, options)) return slide;
  if (!is_tiff(start)) refuse(path, start);
  return open_with_libtiff(path, options);
}

}  // namespace strandline
