#include "io/slide/slide_spacing.hpp"

#include <charconv>
#include <cmath>
#include <string_view>

#include "core/base/error.hpp"
#include "io/tables/tsv_writer.hpp"

namespace strandline {
namespace {

constexpr double kMaxAnisotropy = 0.02;

std::optional<double> number(const SlideInfo& info, const std::string& key) {
  const auto found = info.properties.find(key);
  if (found == info.properties.end()) return std::nullopt;
  const std::string& text = found->second;
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value <= 0.0) {
    return std::nullopt;
  }
  return value;
}

struct Candidate {
  std::optional<double> x_um{};
  std::optional<double> y_um{};
  std::string source;
};

Candidate from_properties(const SlideInfo& info) {
  return {number(info, "openslide.mpp-x"), number(info, "openslide.mpp-y"), "properties"};
}

Candidate from_tags(const SlideInfo& info) {
  Candidate candidate{.source = "resolution tags"};
  const auto unit = info.properties.find("tiff.ResolutionUnit");
  if (unit == info.properties.end()) return candidate;
  const double unit_um = unit->second == "inch" ? 25400.0 : unit->second == "centimeter" ? 10000.0 : 0.0;
  if (unit_um == 0.0) return candidate;
  const auto spacing = [&](const std::string& key) -> std::optional<double> {
    const std::optional<double> per_unit = number(info, key);
    return per_unit ? std::optional(unit_um / *per_unit) : std::nullopt;
  };
  candidate.x_um = spacing("tiff.XResolution");
  candidate.y_um = spacing("tiff.YResolution");
  return candidate;
}

// Why a candidate is no value; empty when it is one.
std::string objection(const Candidate& candidate) {
  if (!candidate.x_um || !candidate.y_um) return "no " + candidate.source;
  const double x = *candidate.x_um;
  const double y = *candidate.y_um;
  const std::string said = candidate.source + " that say " + format_shortest(static_cast<float>(x));
  for (const double value : {x, y}) {
    if (value < kMinSpacingUm || value > kMaxSpacingUm) return said + " um, which no microscope has";
  }
  if (std::abs(x - y) > kMaxAnisotropy * std::max(x, y)) {
    return said + " by " + format_shortest(static_cast<float>(y)) + " um, so pixels are not square";
  }
  return {};
}

}  // namespace

void resolve_spacing(SlideInfo& info, const SlideOptions& options) {
  info.spacing_um.reset();
  std::string why;
  for (const Candidate& candidate : {from_properties(info), from_tags(info)}) {
    const std::string problem = objection(candidate);
    if (problem.empty()) {
      info.spacing_um = std::sqrt(*candidate.x_um * *candidate.y_um);
      if (*candidate.x_um == *candidate.y_um) info.spacing_um = candidate.x_um;  // no rounding where there is no need
      info.spacing_source = candidate.source;
      return;
    }
    why += (why.empty() ? "" : ", and ") + problem;
  }
  if (options.assume_spacing_um) {
    info.spacing_um = options.assume_spacing_um;
    info.spacing_source = "assumed";
    return;
  }
  info.spacing_source = why;
}

double require_spacing(const SlideInfo& info) {
  if (info.spacing_um) return *info.spacing_um;
  throw DataError({.file = info.path}, "micrometres per pixel are not known: " + info.spacing_source,
                  "If you know them, say so: --assume-mpp 0.5");
}

}  // namespace strandline
