// TIFF that OpenSlide refuses: stripped, or tiled in a way that is no scanner's. Any pixels that libtiff turns into
// RGB.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <list>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/input_file.hpp"
#include "io/images/tiff_file.hpp"
#include "io/slide/slide_parts.hpp"
#include "io/slide/slide_spacing.hpp"
#include "io/tables/tsv_writer.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kMaxBlockPixels = std::int64_t{1} << 28;
constexpr std::size_t kCacheBytes = std::size_t{64} << 20;

// A tile or a strip, decoded, rows from the top.
struct Block {
  std::uint16_t directory;
  std::int64_t x;
  std::int64_t y;
  RgbImage pixels;
};

struct Layout {
  std::uint16_t directory;
  bool tiled;
};

class TiffSlide final : public Slide {
 public:
  TiffSlide(const std::string& path, const SlideOptions& options) : file_(path), tiff_(file_) {
    info_.path = path;
    info_.format = "plain-tiff";
    info_.background = options.background.value_or(kWhite);
    read_levels();
    const SlideLevel& full = info_.levels.front();
    info_.bounds = {0, 0, full.width, full.height};
    set_directory(0);
    read_properties();
    resolve_spacing(info_, options);
  }

  void read(const SlideRegion& region, RgbImage& out) override {
    check(region);
    out.reset(region.width, region.height);
    for (std::size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = info_.background[i % 3];
    const SlideLevel& level = info_.levels[static_cast<std::size_t>(region.level)];
    const auto place = [&](std::int64_t l0px) {
      return static_cast<std::int64_t>(std::floor(static_cast<double>(l0px) / level.downsample));
    };
    const std::int64_t left = place(region.x_l0px);
    const std::int64_t top = place(region.y_l0px);
    const std::int64_t end_x = std::min(left + region.width, level.width);
    const std::int64_t end_y = std::min(top + region.height, level.height);
    const auto first = [](std::int64_t from, std::int64_t step) {
      return std::max<std::int64_t>(0, from) / step * step;
    };
    for (std::int64_t y = first(top, level.tile_height); y < end_y; y += level.tile_height) {
      for (std::int64_t x = first(left, level.tile_width); x < end_x; x += level.tile_width) {
        copy_overlap(block_at(region.level, x, y), left, top, out);
      }
    }
  }

 private:
  void read_levels() {
    std::uint16_t directory = 0;
    do {
      set_directory(directory);
      if (directory == 0 || is_smaller_copy()) add_level(directory);
    } while (++directory < std::numeric_limits<std::uint16_t>::max() && TIFFLastDirectory(tiff_.get()) == 0);
  }

  void set_directory(std::uint16_t directory) {
    if (TIFFCurrentDirectory(tiff_.get()) == directory) return;
    if (TIFFSetDirectory(tiff_.get(), directory) == 1) return;
    throw DataError({.file = info_.path},
                    "image " + std::to_string(directory) + " of the TIFF cannot be read (" + tiff_.take_message() + ")",
                    "The file is damaged or truncated; copy it again");
  }

  std::uint32_t tag(std::uint32_t name) const {
    std::uint32_t value = 0;
    return TIFFGetField(tiff_.get(), name, &value) == 1 ? value : 0;
  }

  std::uint16_t short_tag(std::uint32_t name) const {
    std::uint16_t value = 0;
    return TIFFGetFieldDefaulted(tiff_.get(), name, &value) == 1 ? value : std::uint16_t{0};
  }

  // A level of the pyramid, and not a label, a macro picture or another page.
  bool is_smaller_copy() const {
    if ((tag(TIFFTAG_SUBFILETYPE) & FILETYPE_REDUCEDIMAGE) == 0) return false;
    const SlideLevel& full = info_.levels.front();
    const SlideLevel& last = info_.levels.back();
    const std::int64_t width = tag(TIFFTAG_IMAGEWIDTH);
    const std::int64_t height = tag(TIFFTAG_IMAGELENGTH);
    if (width <= 0 || height <= 0 || width >= last.width || height > last.height) return false;
    const double across = static_cast<double>(full.width) / static_cast<double>(width);
    const double down = static_cast<double>(full.height) / static_cast<double>(height);
    // Sizes are rounded, so each ratio is known to one pixel of the smaller picture.
    return std::abs(across - down) <= std::max(across / static_cast<double>(width), down / static_cast<double>(height));
  }

  void add_level(std::uint16_t directory) {
    TIFF* tiff = tiff_.get();
    SlideLevel level{.width = tag(TIFFTAG_IMAGEWIDTH), .height = tag(TIFFTAG_IMAGELENGTH)};
    const bool tiled = TIFFIsTiled(tiff) != 0;
    level.tile_width = tiled ? tag(TIFFTAG_TILEWIDTH) : level.width;
    level.tile_height =
        tiled ? tag(TIFFTAG_TILELENGTH) : std::min<std::int64_t>(tag(TIFFTAG_ROWSPERSTRIP), level.height);
    if (!tiled && tag(TIFFTAG_ROWSPERSTRIP) == 0) level.tile_height = level.height;
    require_readable(directory, level);
    if (directory != 0) {
      const SlideLevel& full = info_.levels.front();
      level.downsample = (static_cast<double>(full.width) / static_cast<double>(level.width) +
                          static_cast<double>(full.height) / static_cast<double>(level.height)) /
                         2.0;
    }
    info_.levels.push_back(level);
    layouts_.push_back({directory, tiled});
  }

  void require_readable(std::uint16_t directory, const SlideLevel& level) {
    const auto refuse = [&](const std::string& problem, const std::string& cure) {
      throw DataError({.file = info_.path}, "image " + std::to_string(directory) + " of the TIFF: " + problem, cure);
    };
    const char* convert = "Convert it to a tiled RGB TIFF, for example: vips tiffsave in.tif out.tif --tile --pyramid";
    if (level.width <= 0 || level.height <= 0 || level.tile_width <= 0 || level.tile_height <= 0) {
      refuse("it has no pixels", "The file is damaged; copy it again");
    }
    if (short_tag(TIFFTAG_ORIENTATION) != ORIENTATION_TOPLEFT) refuse("its rows do not run from the top left", convert);
    char message[1024] = "";
    if (TIFFRGBAImageOK(tiff_.get(), message) != 1) refuse(message, convert);
    const std::uint16_t compression = short_tag(TIFFTAG_COMPRESSION);
    if (TIFFIsCODECConfigured(compression) != 1) {
      refuse("compression " + std::to_string(compression) + " is not built into libtiff", convert);
    }
    if (level.tile_width > kMaxBlockPixels / level.tile_height) {
      refuse("one tile or strip has " + std::to_string(level.tile_width) + " x " + std::to_string(level.tile_height) +
                 " pixels, too many to decode at once",
             convert);
    }
  }

  void read_properties() {
    float x = 0.0F;
    float y = 0.0F;
    if (TIFFGetField(tiff_.get(), TIFFTAG_XRESOLUTION, &x) == 1)
      info_.properties["tiff.XResolution"] = format_shortest(x);
    if (TIFFGetField(tiff_.get(), TIFFTAG_YRESOLUTION, &y) == 1)
      info_.properties["tiff.YResolution"] = format_shortest(y);
    const std::uint16_t unit = short_tag(TIFFTAG_RESOLUTIONUNIT);
    if (unit == RESUNIT_INCH) info_.properties["tiff.ResolutionUnit"] = "inch";
    if (unit == RESUNIT_CENTIMETER) info_.properties["tiff.ResolutionUnit"] = "centimeter";
    const char* description = nullptr;
    if (TIFFGetField(tiff_.get(), TIFFTAG_IMAGEDESCRIPTION, &description) == 1 && description != nullptr) {
      info_.properties["tiff.ImageDescription"] = description;
    }
  }

  // Blocks used last are kept: neighbouring patches share them, above all when they are strips.
  const Block& block_at(int level, std::int64_t x, std::int64_t y) {
    const Layout layout = layouts_[static_cast<std::size_t>(level)];
    const auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) {
      return block.directory == layout.directory && block.x == x && block.y == y;
    });
    if (found != blocks_.end()) {
      blocks_.splice(blocks_.begin(), blocks_, found);
      return blocks_.front();
    }
    blocks_.push_front({layout.directory, x, y, decode(level, x, y)});
    cached_bytes_ += blocks_.front().pixels.pixels.size();
    while (cached_bytes_ > kCacheBytes && blocks_.size() > 1) {
      cached_bytes_ -= blocks_.back().pixels.pixels.size();
      blocks_.pop_back();
    }
    return blocks_.front();
  }

  RgbImage decode(int level_index, std::int64_t x, std::int64_t y) {
    const SlideLevel& level = info_.levels[static_cast<std::size_t>(level_index)];
    const Layout layout = layouts_[static_cast<std::size_t>(level_index)];
    set_directory(layout.directory);
    const std::int64_t rows =
        layout.tiled ? level.tile_height : std::min(level.tile_height, level.height - y);  // a last strip is shorter
    raster_.resize(static_cast<std::size_t>(level.tile_width * rows));
    const auto column = static_cast<std::uint32_t>(x);
    const auto row = static_cast<std::uint32_t>(y);
    const int done = layout.tiled ? TIFFReadRGBATileExt(tiff_.get(), column, row, raster_.data(), 1)
                                  : TIFFReadRGBAStripExt(tiff_.get(), row, raster_.data(), 1);
    if (tiff_.error_number() != 0) throw IoError(info_.path, "read", tiff_.error_number());
    if (done != 1) {
      throw DataError({.file = info_.path},
                      "the tile or strip at x " + std::to_string(x) + ", y " + std::to_string(y) + " of level " +
                          std::to_string(level_index) + " cannot be decoded (" + tiff_.take_message() + ")",
                      "The file is damaged or truncated; copy it again");
    }
    return from_raster(level.tile_width, rows);
  }

  // libtiff gives rows from the bottom, colour already multiplied by alpha.
  RgbImage from_raster(std::int64_t width, std::int64_t rows) const {
    RgbImage pixels(width, rows);
    for (std::int64_t y = 0; y < rows; ++y) {
      const std::uint32_t* from = raster_.data() + (rows - 1 - y) * width;
      std::uint8_t* to = pixels.at(0, y);
      for (std::int64_t x = 0; x < width; ++x) {
        const std::uint32_t pixel = from[x];
        const std::uint32_t clear = 255U - (pixel >> 24U);
        const std::uint32_t channels[3] = {pixel & 255U, (pixel >> 8U) & 255U, (pixel >> 16U) & 255U};
        for (std::size_t c = 0; c < 3; ++c) {
          *to++ = static_cast<std::uint8_t>(std::min(255U, channels[c] + (info_.background[c] * clear + 127U) / 255U));
        }
      }
    }
    return pixels;
  }

  void copy_overlap(const Block& block, std::int64_t left, std::int64_t top, RgbImage& out) const {
    const SlideLevel& level = *std::find_if(info_.levels.begin(), info_.levels.end(), [&](const SlideLevel& one) {
      return layouts_[static_cast<std::size_t>(&one - info_.levels.data())].directory == block.directory;
    });
    const std::int64_t begin_x = std::max(left, block.x);
    const std::int64_t end_x = std::min({left + out.width, block.x + block.pixels.width, level.width});
    const std::int64_t begin_y = std::max(top, block.y);
    const std::int64_t end_y = std::min({top + out.height, block.y + block.pixels.height, level.height});
    for (std::int64_t y = begin_y; y < end_y; ++y) {
      std::copy_n(block.pixels.at(begin_x - block.x, y - block.y), (end_x - begin_x) * 3,
                  out.at(begin_x - left, y - top));
    }
  }

  InputFile file_;
  tiff::TiffFile tiff_;
  std::vector<Layout> layouts_;
  std::list<Block> blocks_;
  std::size_t cached_bytes_ = 0;
  std::vector<std::uint32_t> raster_;
};

}  // namespace

std::unique_ptr<Slide> open_with_libtiff(const std::string& path, const SlideOptions& options) {
  return std::make_unique<TiffSlide>(path, options);
}

}  // namespace strandline
