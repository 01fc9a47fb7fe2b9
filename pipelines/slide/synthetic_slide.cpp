#include "pipelines/slide/synthetic_slide.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "io/bytes/output_file.hpp"
#include "io/images/png_file.hpp"
#include "io/images/tiff_pyramid_writer.hpp"

namespace strandline {
namespace {

// Which draws are which.
enum Stream : std::uint64_t { kShape = 1, kNoise = 2, kNucleus = 3 };

constexpr std::int64_t kNoiseSide = 1024;
constexpr double kWave = 0.15;            // of a radius, by which edges of tissue wander
constexpr std::int64_t kTissueCell = 26;  // one nucleus at most in each
constexpr std::int64_t kLesionCell = 15;

// 0 in the middle, 1 on the edge.
double radius_in(const Ellipse& ellipse, double x, double y) {
  const double dx = x - ellipse.x;
  const double dy = y - ellipse.y;
  const double along = (dx * ellipse.cosine + dy * ellipse.sine) / ellipse.radius_x;
  const double across = (dy * ellipse.cosine - dx * ellipse.sine) / ellipse.radius_y;
  return std::sqrt(along * along + across * across);
}

void turn(Ellipse& ellipse, double angle) {
  ellipse.cosine = std::cos(angle);
  ellipse.sine = std::sin(angle);
}

std::uint8_t channel(double value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5, 0.0, 255.0)); }

std::vector<Ellipse> draw_tissue(const SyntheticSlideOptions& options, RandomStream& random) {
  const auto width = static_cast<double>(options.width);
  const auto height = static_cast<double>(options.height);
  // Two pieces, left and right, with glass between and around them.
  std::vector<Ellipse> pieces;
  for (const double middle : {0.3, 0.73}) {
    pieces.push_back({.x = width * (middle + 0.03 * (random.uniform() - 0.5)),
                      .y = height * (0.5 + 0.1 * (random.uniform() - 0.5)),
                      .radius_x = width * (0.17 + 0.03 * random.uniform()),
                      .radius_y = height * (0.28 + 0.08 * random.uniform()),
                      .cosine = 1.0,
                      .sine = 0.0});
    turn(pieces.back(), 0.3 * (random.uniform() - 0.5));
  }
  return pieces;
}

std::vector<Ellipse> draw_lesions(const SyntheticSlideOptions& options, const std::vector<Ellipse>& tissue,
                                  RandomStream& random) {
  std::vector<Ellipse> lesions;
  for (int i = 0; i < options.lesions; ++i) {
    const Ellipse& piece = tissue[static_cast<std::size_t>(i) % tissue.size()];
    const double direction = 2.0 * std::numbers::pi * random.uniform();
    const double distance = 0.35 * std::sqrt(random.uniform());
    lesions.push_back({.x = piece.x + distance * piece.radius_x * std::cos(direction),
                       .y = piece.y + distance * piece.radius_y * std::sin(direction),
                       .radius_x = piece.radius_x * (0.35 + 0.15 * random.uniform()),
                       .radius_y = piece.radius_x * (0.35 + 0.15 * random.uniform()),
                       .cosine = 1.0,
                       .sine = 0.0});
    turn(lesions.back(), std::numbers::pi * random.uniform());
  }
  return lesions;
}

}  // namespace

SyntheticSlide::SyntheticSlide(const SyntheticSlideOptions& options) : options_(options) {
  constexpr std::int64_t kLeast = 512;
  constexpr std::int64_t kMost = std::int64_t{1} << 17;
  if (options.width < kLeast || options.height < kLeast || options.width > kMost || options.height > kMost) {
    throw ContractError("SyntheticSlide: a side must be from 512 to 131072 pixels");
  }
  if (!(options.spacing_um > 0.0) || options.lesions < 0) {
    throw ContractError("SyntheticSlide: the spacing must be positive, and the number of lesions not negative");
  }
  RandomStream random(options.seed, kShape);
  tissue_ = draw_tissue(options, random);
  lesions_ = draw_lesions(options, tissue_, random);
  noise_.resize(static_cast<std::size_t>(kNoiseSide * kNoiseSide));
  for (std::size_t i = 0; i < noise_.size(); ++i) {
    noise_[i] = uniform_from(philox(options.seed, std::uint64_t{kNoise} << 60U, i)[0]);
  }
}

// Smooth, in [0, 1): random values at the corners of cells, and between them linear in each direction. The three sizes
// of cells that are used look at different parts of the square.
double SyntheticSlide::noise(std::int64_t x, std::int64_t y, std::int64_t cell) const {
  const std::int64_t left = x / cell + cell * 5;
  const std::int64_t top = y / cell + cell * 3;
  const auto corner = [&](std::int64_t i, std::int64_t j) {
    return static_cast<double>(noise_[static_cast<std::size_t>(j % kNoiseSide * kNoiseSide + i % kNoiseSide)]);
  };
  const double u = static_cast<double>(x % cell) / static_cast<double>(cell);
  const double v = static_cast<double>(y % cell) / static_cast<double>(cell);
  const double above = corner(left, top) * (1.0 - u) + corner(left + 1, top) * u;
  const double below = corner(left, top + 1) * (1.0 - u) + corner(left + 1, top + 1) * u;
  return above * (1.0 - v) + below * v;
}

bool SyntheticSlide::is_tissue(std::int64_t x, std::int64_t y) const {
  const double wave = kWave * (noise(x, y, 256) - 0.5);
  return std::any_of(tissue_.begin(), tissue_.end(), [&](const Ellipse& piece) {
    return radius_in(piece, static_cast<double>(x), static_cast<double>(y)) + wave < 1.0;
  });
}

bool SyntheticSlide::in_lesion_ellipse(std::int64_t x, std::int64_t y) const {
  return std::any_of(lesions_.begin(), lesions_.end(), [&](const Ellipse& lesion) {
    return radius_in(lesion, static_cast<double>(x), static_cast<double>(y)) < 1.0;
  });
}

bool SyntheticSlide::is_lesion(std::int64_t x, std::int64_t y) const {
  return in_lesion_ellipse(x, y) && is_tissue(x, y);
}

// A nucleus lies wholly in its cell, so that one look is enough.
bool SyntheticSlide::in_nucleus(std::int64_t x, std::int64_t y, bool lesion) const {
  const std::int64_t cell = lesion ? kLesionCell : kTissueCell;
  const auto row = static_cast<std::uint64_t>(y / cell) << 1U | (lesion ? 1U : 0U);
  const auto draw = philox(options_.seed ^ (std::uint64_t{kNucleus} << 60U), row, static_cast<std::uint64_t>(x / cell));
  if (uniform_from(draw[0]) > (lesion ? 0.9F : 0.6F)) return false;
  const double radius = lesion ? 5.0 + 2.0 * uniform_from(draw[1]) : 3.0 + 1.5 * uniform_from(draw[1]);
  const double room = static_cast<double>(cell) - 2.0 * radius;
  const double dx = static_cast<double>(x % cell) - radius - room * uniform_from(draw[2]);
  const double dy = static_cast<double>(y % cell) - radius - room * uniform_from(draw[3]);
  return dx * dx + dy * dy < radius * radius;
}

Rgb SyntheticSlide::colour(std::int64_t x, std::int64_t y) const {
  if (!is_tissue(x, y)) {
    const std::uint8_t glass = channel(240.0 + 6.0 * noise(x, y, 64));
    return {glass, glass, glass};
  }
  const bool lesion = in_lesion_ellipse(x, y);
  const double shade = 30.0 * (noise(x, y, 64) - 0.5) + 16.0 * (noise(x, y, 8) - 0.5);
  using Colour = std::array<double, 3>;
  const Colour ground = lesion ? Colour{196.0, 150.0, 202.0} : Colour{226.0, 166.0, 198.0};
  const Colour nucleus = lesion ? Colour{72.0, 40.0, 118.0} : Colour{122.0, 82.0, 150.0};
  const Colour& base = in_nucleus(x, y, lesion) ? nucleus : ground;
  return {channel(base[0] + shade), channel(base[1] + shade), channel(base[2] + shade)};
}

void SyntheticSlide::write(const std::string& path) const {
  const TiffPyramidOptions pyramid{.spacing_um = options_.spacing_um, .description = "strandline synthetic slide"};
  write_tiff_pyramid(path, {options_.width, options_.height}, pyramid, [&](const ImageBox& box, RgbImage& out) {
    for (std::int64_t y = 0; y < box.height; ++y) {
      for (std::int64_t x = 0; x < box.width; ++x) {
        const Rgb value = colour(box.x + x, box.y + y);
        std::copy(value.begin(), value.end(), out.at(x, y));
      }
    }
  });
}

GrayImage SyntheticSlide::lesion_mask(std::int64_t factor) const {
  GrayImage mask(options_.width / factor, options_.height / factor);
  for (std::int64_t y = 0; y < mask.height; ++y) {
    for (std::int64_t x = 0; x < mask.width; ++x) {
      if (is_lesion(x * factor + factor / 2, y * factor + factor / 2)) *mask.at(x, y) = 255;
    }
  }
  return mask;
}

void write_synthetic_study(const std::string& folder, const SyntheticStudyOptions& options) {
  namespace fs = std::filesystem;
  for (const char* part : {"slides", "lesions"}) {
    std::error_code error;
    fs::create_directories(fs::path(folder) / part, error);
    if (error) throw IoError((fs::path(folder) / part).string(), "create", error.value());
  }
  std::string labels = "case_id,slide_id,label\n";
  for (int i = 0; i < options.slides; ++i) {
    const bool tumour = i % 2 == 1;
    SyntheticSlideOptions one = options.slide;
    one.seed = (options.slide.seed << 20U) + static_cast<std::uint64_t>(i);
    if (!tumour) one.lesions = 0;
    const SyntheticSlide slide(one);
    const std::string name = fmt::format("slide_{:03}", i + 1);
    slide.write((fs::path(folder) / "slides" / (name + ".tiff")).string());
    write_png((fs::path(folder) / "lesions" / (name + ".png")).string(), slide.lesion_mask(kLesionMaskFactor));
    labels += fmt::format("case_{:03},{},{}\n", i + 1, name, tumour ? "tumour" : "normal");
  }
  write_whole_file((fs::path(folder) / "labels.csv").string(), labels);
}

}  // namespace strandline
