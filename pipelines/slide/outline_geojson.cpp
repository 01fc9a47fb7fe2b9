#include "pipelines/slide/outline_geojson.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "io/bytes/checksum.hpp"
#include "io/bytes/output_file.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

bool is_straight(const OutlinePoint& before, const OutlinePoint& at, const OutlinePoint& after) {
  const auto cross = (std::int64_t{at.x} - before.x) * (std::int64_t{after.y} - at.y) -
                     (std::int64_t{at.y} - before.y) * (std::int64_t{after.x} - at.x);
  const auto along = (std::int64_t{at.x} - before.x) * (std::int64_t{after.x} - at.x) +
                     (std::int64_t{at.y} - before.y) * (std::int64_t{after.y} - at.y);
  return cross == 0 && along >= 0;  // a spike that turns back is kept
}

// A ring: its last point repeats the first, and it has four points at least.
Json ring(const Outline& outline, const SlideBounds& origin) {
  Json points = Json::array();
  const auto add = [&](const OutlinePoint& point) {
    points.push_back(Json::array({point.x - origin.x_l0px, point.y - origin.y_l0px}));
  };
  const std::size_t size = outline.size();
  for (std::size_t i = 0; i < size; ++i) {
    const bool straight = is_straight(outline[(i + size - 1) % size], outline[i], outline[(i + 1) % size]);
    if (size <= 4 || !straight) add(outline[i]);
  }
  if (points.size() < 3) {
    points = Json::array();
    for (const OutlinePoint& point : outline) add(point);
  }
  while (points.size() < 3) points.push_back(points.back());
  points.push_back(points.front());
  return points;
}

// The form of a UUID, from a checksum: the same slide gives the same id.
std::string make_id(const std::string& text) {
  std::string hex = sha256(text.data(), text.size()).substr(0, 32);
  hex[12] = '4';
  hex[16] = 'a';
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

Json feature(const std::string& name, std::size_t number, const TissueContour& contour, const SlideBounds& origin) {
  Json rings = Json::array({ring(contour.outer, origin)});
  for (const Outline& hole : contour.holes) rings.push_back(ring(hole, origin));
  const std::string id = make_id(fmt::format("{} {} {}", name, number, rings.dump()));
  return {{"type", "Feature"},
          {"id", id},
          {"geometry", {{"type", "Polygon"}, {"coordinates", std::move(rings)}}},
          {"properties",
           {{"objectType", "annotation"},
            {"isLocked", false},
            {"tissue_id", number},
            {"classification", {{"name", "Tissue"}, {"color", {52, 120, 198}}}}}}};
}

}  // namespace

void write_outlines(const std::string& path, const std::string& name, const TissueMask& tissue,
                    const SlideBounds& origin) {
  Json features = Json::array();
  for (std::size_t i = 0; i < tissue.contours.size(); ++i) {
    features.push_back(feature(name, i, tissue.contours[i], origin));
  }
  const Json collection{{"type", "FeatureCollection"}, {"features", std::move(features)}};
  // A name that is no UTF-8 must not end the run.
  write_whole_file(path, collection.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace strandline
