#include "pipelines/slide/patch_grid.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

#include "core/base/error.hpp"
#include "pipelines/slide/opencv_points.hpp"

namespace strandline {
namespace {

constexpr double kMaxPlaces = 1 << 28;

// Number of tissue pixels in any box of the mask, by four look-ups.
class TissueCounts {
 public:
  explicit TissueCounts(const TissueMask& tissue)
      : tissue_(tissue),
        stride_(tissue.mask.width + 1),
        sums_(static_cast<std::size_t>(stride_ * (tissue.mask.height + 1))) {
    for (std::int64_t y = 0; y < tissue.mask.height; ++y) {
      std::int64_t row = 0;
      for (std::int64_t x = 0; x < tissue.mask.width; ++x) {
        row += *tissue.mask.at(x, y) != 0 ? 1 : 0;
        sum(x + 1, y + 1) = sum(x + 1, y) + row;
      }
    }
  }

  // Of the mask's pixels that the patch touches; those beyond the slide count as no tissue.
  double share(const PatchPlace& place, std::int64_t side_l0px) const {
    const auto first = [](std::int64_t l0px, double scale) {
      return static_cast<std::int64_t>(std::floor(static_cast<double>(l0px) / scale));
    };
    const auto end = [](std::int64_t l0px, double scale) {
      return static_cast<std::int64_t>(std::ceil(static_cast<double>(l0px) / scale));
    };
    const std::int64_t left = first(place.x_l0px, tissue_.scale_x);
    const std::int64_t top = first(place.y_l0px, tissue_.scale_y);
    const std::int64_t right = end(place.x_l0px + side_l0px, tissue_.scale_x);
    const std::int64_t bottom = end(place.y_l0px + side_l0px, tissue_.scale_y);
    const std::int64_t x = std::min(right, tissue_.mask.width);
    const std::int64_t y = std::min(bottom, tissue_.mask.height);
    if (x <= left || y <= top) return 0.0;
    const std::int64_t count = sum(x, y) - sum(left, y) - sum(x, top) + sum(left, top);
    return static_cast<double>(count) / static_cast<double>((right - left) * (bottom - top));
  }

 private:
  std::int64_t& sum(std::int64_t x, std::int64_t y) { return sums_[static_cast<std::size_t>(y * stride_ + x)]; }
  std::int64_t sum(std::int64_t x, std::int64_t y) const { return sums_[static_cast<std::size_t>(y * stride_ + x)]; }

  const TissueMask& tissue_;
  std::int64_t stride_;
  std::vector<std::int64_t> sums_;
};

void require_countable(double width_l0px, double height_l0px, const GridOptions& options) {
  const double step = static_cast<double>(options.step_l0px);
  if (width_l0px / step * (height_l0px / step) > kMaxPlaces) {
    throw MemoryError("the grid would have more than 2^28 places; use a larger --patch or --mpp, or less --overlap");
  }
}

std::vector<PatchPlace> slide_grid(const TissueMask& tissue, const SlideLevel& level0, const GridOptions& options) {
  require_countable(static_cast<double>(level0.width), static_cast<double>(level0.height), options);
  const TissueCounts counts(tissue);
  const std::int64_t overrun = options.edges == Edges::pad ? 0 : options.patch_l0px - 1;
  std::vector<PatchPlace> places;
  for (std::int64_t y = 0; y < level0.height - overrun; y += options.step_l0px) {
    for (std::int64_t x = 0; x < level0.width - overrun; x += options.step_l0px) {
      const double share = counts.share({x, y}, options.patch_l0px);
      if (share > 0.0 && share >= options.min_tissue) places.push_back({x, y});
    }
  }
  return places;
}

using Contour = std::vector<cv::Point>;

// -1 outside, 0 on the contour, 1 inside.
double side_of(const Contour& contour, double x, double y) {
  return cv::pointPolygonTest(contour, cv::Point2f(static_cast<float>(x), static_cast<float>(y)), false);
}

bool passes(const Contour& contour, const PatchPlace& place, const GridOptions& options) {
  const std::int64_t centre_x = place.x_l0px + options.patch_l0px / 2;
  const std::int64_t centre_y = place.y_l0px + options.patch_l0px / 2;
  const auto in = [&](std::int64_t x, std::int64_t y) {
    return side_of(contour, static_cast<double>(x), static_cast<double>(y)) >= 0.0;
  };
  const std::int64_t shift = options.patch_l0px / 2 / 2;
  const std::array<std::array<std::int64_t, 2>, 4> corners{{{centre_x - shift, centre_y - shift},
                                                            {centre_x + shift, centre_y + shift},
                                                            {centre_x + shift, centre_y - shift},
                                                            {centre_x - shift, centre_y + shift}}};
  const auto corner_in = [&](const std::array<std::int64_t, 2>& corner) { return in(corner[0], corner[1]); };
  switch (options.contour_test) {
    case ContourTest::four_pt: return std::any_of(corners.begin(), corners.end(), corner_in);
    case ContourTest::four_pt_hard: return std::all_of(corners.begin(), corners.end(), corner_in);
    case ContourTest::center: return in(centre_x, centre_y);
    case ContourTest::basic: break;
  }
  return in(place.x_l0px, place.y_l0px);
}

bool centre_in_hole(const std::vector<Contour>& holes, const PatchPlace& place, std::int64_t patch_l0px) {
  const double half = static_cast<double>(patch_l0px) / 2.0;
  return std::any_of(holes.begin(), holes.end(), [&](const Contour& hole) {
    return side_of(hole, static_cast<double>(place.x_l0px) + half, static_cast<double>(place.y_l0px) + half) > 0.0;
  });
}

void add_contour_grid(const TissueContour& tissue, const SlideLevel& level0, const GridOptions& options,
                      std::vector<PatchPlace>& places) {
  const Contour outer = to_opencv(tissue.outer);
  std::vector<Contour> holes;
  for (const Outline& hole : tissue.holes) holes.push_back(to_opencv(hole));
  const cv::Rect box = cv::boundingRect(outer);
  require_countable(box.width, box.height, options);
  std::int64_t end_x = std::int64_t{box.x} + box.width;
  std::int64_t end_y = std::int64_t{box.y} + box.height;
  if (options.edges == Edges::inside) {
    end_x = std::min(end_x, level0.width - options.patch_l0px + 1);
    end_y = std::min(end_y, level0.height - options.patch_l0px + 1);
  }
  for (std::int64_t x = box.x; x < end_x; x += options.step_l0px) {
    for (std::int64_t y = box.y; y < end_y; y += options.step_l0px) {
      const PatchPlace place{x, y};
      if (passes(outer, place, options) && !centre_in_hole(holes, place, options.patch_l0px)) places.push_back(place);
    }
  }
}

}  // namespace

std::vector<PatchPlace> make_grid(const TissueMask& tissue, const SlideLevel& level0, const GridOptions& options) {
  if (options.patch_l0px <= 0 || options.step_l0px <= 0) {
    throw ContractError("make_grid: a patch of " + std::to_string(options.patch_l0px) + " and a step of " +
                        std::to_string(options.step_l0px) + " level-0 pixels, expected positive sizes");
  }
  if (options.anchor == GridAnchor::slide) return slide_grid(tissue, level0, options);
  std::vector<PatchPlace> places;
  for (const TissueContour& contour : tissue.contours) add_contour_grid(contour, level0, options, places);
  return places;
}

}  // namespace strandline
