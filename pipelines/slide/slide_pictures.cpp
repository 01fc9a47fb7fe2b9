#include "pipelines/slide/slide_pictures.hpp"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "io/images/resize.hpp"

namespace strandline {

RgbImage make_thumbnail(const Overview& overview, std::int64_t max_side) {
  const RgbImage& picture = overview.picture;
  const std::int64_t longer = std::max(picture.width, picture.height);
  if (longer <= max_side) return picture;
  const auto shorter = [&](std::int64_t side) { return std::max<std::int64_t>(1, side * max_side / longer); };
  return resized(picture, {shorter(picture.width), shorter(picture.height)});
}

void draw_grid(const GridPicture& grid, RgbImage& thumbnail) {
  cv::Mat canvas(static_cast<int>(thumbnail.height), static_cast<int>(thumbnail.width), CV_8UC3,
                 thumbnail.pixels.data());
  const double scale = static_cast<double>(thumbnail.width) / static_cast<double>(grid.slide_width_l0px);
  const auto pixel = [&](std::int64_t x, std::int64_t y) {
    return cv::Point(static_cast<int>(std::lround(static_cast<double>(x) * scale)),
                     static_cast<int>(std::lround(static_cast<double>(y) * scale)));
  };
  for (const PatchPlace& place : grid.places) {
    cv::rectangle(canvas, pixel(place.x_l0px, place.y_l0px),
                  pixel(place.x_l0px + grid.patch_l0px, place.y_l0px + grid.patch_l0px), cv::Scalar(0, 0, 0), 1);
  }
  const auto draw = [&](const Outline& outline, const cv::Scalar& colour) {
    std::vector<cv::Point> points;
    for (const OutlinePoint& point : outline) points.push_back(pixel(point.x, point.y));
    cv::polylines(canvas, points, true, colour, 2);
  };
  for (const TissueContour& contour : grid.contours) {
    draw(contour.outer, cv::Scalar(0, 160, 0));
    for (const Outline& hole : contour.holes) draw(hole, cv::Scalar(0, 0, 220));
  }
}

}  // namespace strandline
