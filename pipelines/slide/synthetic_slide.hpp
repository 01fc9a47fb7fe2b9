// Slides that nobody scanned: tissue on glass with planted lesions, for examples and tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/images/image.hpp"

namespace strandline {

struct SyntheticSlideOptions {
  std::int64_t width = 4096;  ///< of level 0
  std::int64_t height = 4096;
  double spacing_um = 0.5;  ///< into the resolution tags
  int lesions = 0;
  std::uint64_t seed = 1;
};

/// Level-0 pixels; turned by the angle of that cosine and sine.
struct Ellipse {
  double x = 0.0;
  double y = 0.0;
  double radius_x = 1.0;
  double radius_y = 1.0;
  double cosine = 1.0;
  double sine = 0.0;
};

/// Pieces of tissue with wavy edges, and lesions that lie inside of them: more nuclei, larger and darker, on a bluer
/// ground. Depends on the options alone, bit for bit.
class SyntheticSlide {
 public:
  /// @throws ContractError: less than 512 pixels a side, a spacing that is not positive, a negative number of lesions.
  explicit SyntheticSlide(const SyntheticSlideOptions& options);

  const SyntheticSlideOptions& options() const { return options_; }
  const std::vector<Ellipse>& tissue() const { return tissue_; }
  const std::vector<Ellipse>& lesions() const { return lesions_; }
  bool is_tissue(std::int64_t x, std::int64_t y) const;
  bool is_lesion(std::int64_t x, std::int64_t y) const;
  Rgb colour(std::int64_t x, std::int64_t y) const;

  /// A pyramidal tiled TIFF, compressed with JPEG. @throws IoError.
  void write(const std::string& path) const;
  /// 255 where the middle of a square of `factor` level-0 pixels is lesion, else 0.
  GrayImage lesion_mask(std::int64_t factor) const;

 private:
  double noise(std::int64_t x, std::int64_t y, std::int64_t cell) const;
  bool in_lesion_ellipse(std::int64_t x, std::int64_t y) const;
  bool in_nucleus(std::int64_t x, std::int64_t y, bool lesion) const;

  SyntheticSlideOptions options_;
  std::vector<Ellipse> tissue_;
  std::vector<Ellipse> lesions_;
  std::vector<float> noise_;  ///< a square of random numbers, repeated without end
};

/// A small study in `folder`: slides/<name>.tiff, lesions/<name>.png (lesion_mask at 1/16) and labels.csv with
/// case_id,slide_id,label ("normal" or "tumour", every other slide), each slide a case of its own.
struct SyntheticStudyOptions {
  int slides = 8;
  SyntheticSlideOptions slide;  ///< the seed is the study's; lesions: per tumour slide
};

inline constexpr std::int64_t kLesionMaskFactor = 16;

/// @throws ContractError, IoError.
void write_synthetic_study(const std::string& folder, const SyntheticStudyOptions& options);

}  // namespace strandline
