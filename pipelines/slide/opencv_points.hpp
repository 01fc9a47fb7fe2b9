// Outlines as OpenCV takes them. Internal to pipelines/slide.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

#include "pipelines/slide/tissue_mask.hpp"

namespace strandline {

inline std::vector<cv::Point> to_opencv(const Outline& outline) {
  std::vector<cv::Point> points;
  points.reserve(outline.size());
  for (const OutlinePoint& point : outline) points.emplace_back(point.x, point.y);
  return points;
}

}  // namespace strandline
