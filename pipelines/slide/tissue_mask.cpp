#include "pipelines/slide/tissue_mask.hpp"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {
namespace {

constexpr double kReferencePx = 512.0;

using Contour = std::vector<cv::Point>;

// 255 where there is tissue.
cv::Mat binary_mask(const RgbImage& picture, const TissueRules& rules) {
  // OpenCV wants a pointer that is not const and writes nothing through it.
  const cv::Mat rgb(static_cast<int>(picture.height), static_cast<int>(picture.width), CV_8UC3,
                    const_cast<std::uint8_t*>(picture.pixels.data()));
  cv::Mat hsv;
  cv::cvtColor(rgb, hsv, cv::COLOR_RGB2HSV);
  cv::Mat saturation;
  cv::extractChannel(hsv, saturation, 1);
  cv::Mat smooth;
  cv::medianBlur(saturation, smooth, rules.median_px);
  cv::Mat mask;
  const int kind = rules.otsu ? cv::THRESH_BINARY | cv::THRESH_OTSU : cv::THRESH_BINARY;
  cv::threshold(smooth, mask, rules.otsu ? 0.0 : rules.saturation_above, 255.0, kind);
  if (rules.close_px > 0) {
    const cv::Mat square = cv::Mat::ones(rules.close_px, rules.close_px, CV_8UC1);
    cv::morphologyEx(mask, mask, cv::MORPH_CLOSE, square);
  }
  return mask;
}

struct Found {
  Contour outer;
  std::vector<Contour> holes;
};

// Two levels: outer contours, and the holes in them.
std::vector<Found> contours_of(const cv::Mat& mask) {
  std::vector<Contour> contours;
  std::vector<cv::Vec4i> hierarchy;  // next, previous, first child, parent
  cv::findContours(mask, contours, hierarchy, cv::RETR_CCOMP, cv::CHAIN_APPROX_NONE);
  std::vector<Found> found;
  for (std::size_t i = 0; i < contours.size(); ++i) {
    if (hierarchy[i][3] != -1) continue;
    Found one{std::move(contours[i]), {}};
    for (int hole = hierarchy[i][2]; hole != -1; hole = hierarchy[static_cast<std::size_t>(hole)][0]) {
      one.holes.push_back(contours[static_cast<std::size_t>(hole)]);
    }
    found.push_back(std::move(one));
  }
  return found;
}

// False when a contour is too small. Keeps the large ones of its holes, largest first.
bool keep(Found& found, double reference_area, const TissueRules& rules) {
  double area = cv::contourArea(found.outer);
  for (const Contour& hole : found.holes) area -= cv::contourArea(hole);
  if (area <= 0.0 || area <= rules.min_tissue_patches * reference_area) return false;
  std::stable_sort(found.holes.begin(), found.holes.end(),
                   [](const Contour& a, const Contour& b) { return cv::contourArea(a) > cv::contourArea(b); });
  if (std::cmp_greater(found.holes.size(), rules.max_holes)) {
    found.holes.resize(static_cast<std::size_t>(rules.max_holes));
  }
  std::erase_if(found.holes,
                [&](const Contour& hole) { return cv::contourArea(hole) <= rules.min_hole_patches * reference_area; });
  return true;
}

Outline to_level0(const Contour& contour, const TissueMask& mask) {
  Outline outline;
  outline.reserve(contour.size());
  for (const cv::Point& point : contour) {
    outline.push_back(
        {static_cast<std::int32_t>(point.x * mask.scale_x), static_cast<std::int32_t>(point.y * mask.scale_y)});
  }
  return outline;
}

}  // namespace

TissueMask find_tissue(const Overview& overview, const TissueRules& rules) {
  check_tissue_rules(rules);
  const RgbImage& picture = overview.picture;
  TissueMask tissue{.scale_x = overview.scale_x, .scale_y = overview.scale_y};
  tissue.mask.reset(picture.width, picture.height);
  cv::Mat drawn(static_cast<int>(picture.height), static_cast<int>(picture.width), CV_8UC1, tissue.mask.pixels.data());
  // In whole pixels, as CLAM has it.
  const double reference_area = std::floor(kReferencePx * kReferencePx / (overview.scale_x * overview.scale_y));
  for (Found& found : contours_of(binary_mask(picture, rules))) {
    if (!keep(found, reference_area, rules)) continue;
    TissueContour contour{.outer = to_level0(found.outer, tissue)};
    cv::drawContours(drawn, std::vector<Contour>{found.outer}, 0, cv::Scalar(255), cv::FILLED);
    for (const Contour& hole : found.holes) contour.holes.push_back(to_level0(hole, tissue));
    tissue.contours.push_back(std::move(contour));
    // A hole's contour runs along the tissue around it, which stays.
    for (const Contour& hole : found.holes) {
      cv::drawContours(drawn, std::vector<Contour>{hole}, 0, cv::Scalar(0), cv::FILLED);
      cv::drawContours(drawn, std::vector<Contour>{hole}, 0, cv::Scalar(255), 1);
    }
  }
  return tissue;
}

}  // namespace strandline
