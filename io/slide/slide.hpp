// A whole-slide image: a pyramid of levels, read by regions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/images/image.hpp"

namespace strandline {

struct SlideLevel {
  std::int64_t width = 0;
  std::int64_t height = 0;
  double downsample = 1.0;      ///< level-0 pixels per pixel of this level
  std::int64_t tile_width = 0;  ///< of the tiles or strips in the file; 0: not known
  std::int64_t tile_height = 0;
};

/// The part of level 0 that was scanned; the whole of it where the file does not say.
struct SlideBounds {
  std::int64_t x_l0px = 0;
  std::int64_t y_l0px = 0;
  std::int64_t width_l0px = 0;
  std::int64_t height_l0px = 0;
};

struct SlideInfo {
  std::string path;
  std::string format;  ///< "aperio", "generic-tiff", ... as OpenSlide calls it; "plain-tiff" when read through libtiff
  std::vector<SlideLevel> levels;    ///< [0] is the largest; downsamples grow
  std::optional<double> spacing_um;  ///< micrometres per level-0 pixel
  std::string spacing_source;        ///< where spacing_um comes from; when there is none, why
  std::optional<double> objective_power;
  Rgb background = kWhite;
  SlideBounds bounds;
  std::map<std::string, std::string> properties;  ///< as the file has them
};

/// What to read: the corner in level-0 pixels, the size in pixels of the level.
struct SlideRegion {
  std::int64_t x_l0px = 0;
  std::int64_t y_l0px = 0;
  int level = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
};

struct SlideOptions {
  std::optional<double> assume_spacing_um{};  ///< for a slide that does not say it; never overrides one that does
  std::optional<Rgb> background{};            ///< instead of the slide's own, or of white
};

/// One handle. One thread at a time: give each worker its own.
class Slide {
 public:
  virtual ~Slide() = default;
  const SlideInfo& info() const { return info_; }

  /// Fills `out` with a region. What is transparent, missing in the file or outside the slide has the background
  /// colour; half-transparent pixels are laid over it.
  /// @throws ContractError (no such level, a negative size), DataError (a tile that cannot be decoded; the handle is
  /// opened again, so that other regions can still be read), IoError.
  virtual void read(const SlideRegion& region, RgbImage& out) = 0;

 protected:
  void check(const SlideRegion& region) const;

  SlideInfo info_;
};

/// Opens what OpenSlide reads and, beyond that, tiled and stripped TIFF through libtiff. Memory stays bounded whatever
/// the file claims. Never uses the network.
/// @throws IoError (missing, a folder), DataError (not a slide, truncated, a compression that is not built in).
std::unique_ptr<Slide> open_slide(const std::string& path, const SlideOptions& options = {});

/// info.spacing_um. @throws DataError naming the slide, what was looked at, and the cure.
double require_spacing(const SlideInfo& info);

}  // namespace strandline
