#include <openslide.h>
#include <tiffio.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "core/base/error.hpp"
#include "io/slide/slide_parts.hpp"
#include "io/slide/slide_spacing.hpp"

namespace strandline {
namespace {

struct Close {
  void operator()(openslide_t* handle) const { openslide_close(handle); }
};
using Handle = std::unique_ptr<openslide_t, Close>;

std::optional<std::int64_t> integer(const SlideInfo& info, const std::string& key) {
  const auto found = info.properties.find(key);
  if (found == info.properties.end()) return std::nullopt;
  std::int64_t value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto result = std::from_chars(found->second.data(), end, value);
  return result.ec == std::errc() && result.ptr == end ? std::optional(value) : std::nullopt;
}

// "FFFFFF"
std::optional<Rgb> colour(const std::string& text) {
  std::uint32_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 6 || result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return Rgb{static_cast<std::uint8_t>(value >> 16U), static_cast<std::uint8_t>(value >> 8U),
             static_cast<std::uint8_t>(value)};
}

bool is_tiny(const SlideLevel& level) { return level.width < level.tile_width || level.height < level.tile_height; }

// OpenSlide lets libtiff print its warnings. Set once for the process, as libtiff has no other way for its callers'
// callers.
void silence_libtiff() {
  static const bool done = [] {
    TIFFSetWarningHandler(nullptr);
    TIFFSetErrorHandler(nullptr);
    return true;
  }();
  static_cast<void>(done);
}

class OpenSlideSlide final : public Slide {
 public:
  OpenSlideSlide(Handle handle, const std::string& path, const SlideOptions& options) : handle_(std::move(handle)) {
    info_.path = path;
    require_no_error("it cannot be opened");
    read_properties();
    read_levels();
    read_bounds();
    info_.background = options.background.value_or(own_background());
    resolve_spacing(info_, options);
  }

  void read(const SlideRegion& region, RgbImage& out) override {
    check(region);
    reopen();
    argb_.resize(static_cast<std::size_t>(region.width * region.height));
    openslide_read_region(handle_.get(), argb_.data(), region.x_l0px, region.y_l0px, region.level, region.width,
                          region.height);
    if (openslide_get_error(handle_.get()) != nullptr) {
      require_no_error("the region of " + std::to_string(region.width) + " x " + std::to_string(region.height) +
                       " pixels at x " + std::to_string(region.x_l0px) + ", y " + std::to_string(region.y_l0px) +
                       " of level " + std::to_string(region.level) + " cannot be read");
    }
    lay_over_background(region, out);
  }

 private:
  // An error latches: after it a handle gives nothing but zeros.
  void reopen() {
    if (openslide_get_error(handle_.get()) == nullptr) return;
    handle_.reset(openslide_open(info_.path.c_str()));
    if (!handle_) throw DataError({.file = info_.path}, "it was a slide when it was opened, and is none any more");
    require_no_error("it cannot be opened again");
  }

  void require_no_error(const std::string& what) {
    const char* error = openslide_get_error(handle_.get());
    if (error == nullptr) return;
    throw DataError({.file = info_.path}, what + " (OpenSlide: " + error + ")",
                    "The file is damaged or of a kind that is not supported; copy or export it again");
  }

  void read_properties() {
    const char* const* names = openslide_get_property_names(handle_.get());
    for (; names != nullptr && *names != nullptr; ++names) {
      const char* value = openslide_get_property_value(handle_.get(), *names);
      if (value != nullptr) info_.properties.emplace(*names, value);
    }
    const auto vendor = info_.properties.find(OPENSLIDE_PROPERTY_NAME_VENDOR);
    info_.format = vendor == info_.properties.end() ? "unknown" : vendor->second;
    if (const auto power = integer(info_, OPENSLIDE_PROPERTY_NAME_OBJECTIVE_POWER)) {
      info_.objective_power = static_cast<double>(*power);
    }
  }

  void read_levels() {
    const int count = openslide_get_level_count(handle_.get());
    for (int i = 0; i < count; ++i) {
      SlideLevel level;
      openslide_get_level_dimensions(handle_.get(), i, &level.width, &level.height);
      level.downsample = openslide_get_level_downsample(handle_.get(), i);
      const std::string prefix = "openslide.level[" + std::to_string(i) + "].tile-";
      level.tile_width = integer(info_, prefix + "width").value_or(0);
      level.tile_height = integer(info_, prefix + "height").value_or(0);
      info_.levels.push_back(level);
    }
    require_no_error("its levels cannot be read");
    leave_out_tiny_levels();
    if (info_.levels.empty()) throw DataError({.file = info_.path}, "the slide has no level");
  }

  // The libtiff of Debian's security updates gives OpenSlide rows of another length than it asks for when a picture is
  // smaller than its tiles, and what is read is rubbish. Those levels are the last, and nobody misses them.
  void leave_out_tiny_levels() {
    while (info_.levels.size() > 1 && is_tiny(info_.levels.back())) info_.levels.pop_back();
  }

  void read_bounds() {
    const SlideLevel& full = info_.levels.front();
    info_.bounds = {integer(info_, OPENSLIDE_PROPERTY_NAME_BOUNDS_X).value_or(0),
                    integer(info_, OPENSLIDE_PROPERTY_NAME_BOUNDS_Y).value_or(0),
                    integer(info_, OPENSLIDE_PROPERTY_NAME_BOUNDS_WIDTH).value_or(full.width),
                    integer(info_, OPENSLIDE_PROPERTY_NAME_BOUNDS_HEIGHT).value_or(full.height)};
  }

  Rgb own_background() const {
    const auto found = info_.properties.find(OPENSLIDE_PROPERTY_NAME_BACKGROUND_COLOR);
    return found == info_.properties.end() ? kWhite : colour(found->second).value_or(kWhite);
  }

  // Pixels are native-endian ARGB, colour already multiplied by alpha.
  void lay_over_background(const SlideRegion& region, RgbImage& out) const {
    out.reset(region.width, region.height);
    std::uint8_t* to = out.pixels.data();
    for (const std::uint32_t pixel : argb_) {
      const std::uint32_t clear = 255U - (pixel >> 24U);
      const std::uint32_t channels[3] = {(pixel >> 16U) & 255U, (pixel >> 8U) & 255U, pixel & 255U};
      for (std::size_t c = 0; c < 3; ++c) {
        const std::uint32_t value = channels[c] + (clear == 0U ? 0U : (info_.background[c] * clear + 127U) / 255U);
        *to++ = static_cast<std::uint8_t>(std::min(255U, value));
      }
    }
  }

  Handle handle_;
  std::vector<std::uint32_t> argb_;
};

}  // namespace

std::unique_ptr<Slide> open_with_openslide(const std::string& path, const SlideOptions& options) {
  silence_libtiff();
  Handle handle(openslide_open(path.c_str()));
  if (!handle) return nullptr;
  auto slide = std::make_unique<OpenSlideSlide>(std::move(handle), path, options);
  // A whole slide smaller than a tile: libtiff alone reads it right, where that is enough.
  if (slide->info().format == "generic-tiff" && is_tiny(slide->info().levels.front())) return nullptr;
  return slide;
}

}  // namespace strandline
