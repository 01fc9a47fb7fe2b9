#include "pipelines/run/svg_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace strandline {
namespace {

constexpr std::array<std::string_view, 8> kColours{"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                   "#E69F00", "#56B4E9", "#000000", "#8A8A00"};

// The frame of a line plot in pixels.
constexpr double kWidth = 560;
constexpr double kHeight = 340;
constexpr double kLeft = 62;
constexpr double kRight = 150;  // room for the legend
constexpr double kTop = 34;
constexpr double kBottom = 48;
constexpr int kTicks = 6;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

bool is_drawable(const PlotPoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

Range range_of(const LinePlot& plot, const PlotAxis& axis, double PlotPoint::*coordinate) {
  if (axis.low != axis.high) return {axis.low, axis.high};
  Range range;
  for (const PlotSeries& series : plot.series) {
    for (const PlotPoint& point : series.points) {
      if (is_drawable(point)) range.include(point.*coordinate);
    }
  }
  if (range.low > range.high) return {0, 1};
  if (range.low == range.high) return {range.low - 0.5, range.high + 0.5};
  return range;
}

// 1, 2 or 5 times a power of ten, so that about kTicks fit.
double tick_step(const Range& range) {
  const double rough = (range.high - range.low) / kTicks;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

// Places of the plot's numbers in the picture.
class Frame {
 public:
  explicit Frame(const LinePlot& plot)
      : x_(range_of(plot, plot.x, &PlotPoint::x)), y_(range_of(plot, plot.y, &PlotPoint::y)) {}

  double x(double value) const { return kLeft + (value - x_.low) / (x_.high - x_.low) * (kWidth - kLeft - kRight); }
  double y(double value) const {
    return kHeight - kBottom - (value - y_.low) / (y_.high - y_.low) * (kHeight - kTop - kBottom);
  }
  const Range& x_range() const { return x_; }
  const Range& y_range() const { return y_; }

 private:
  Range x_;
  Range y_;
};

std::vector<double> ticks(const Range& range) {
  const double step = tick_step(range);
  std::vector<double> places;
  for (double place = std::ceil(range.low / step) * step; place <= range.high + 1e-9 * step; place += step) {
    places.push_back(std::abs(place) < 1e-9 * step ? 0.0 : place);
  }
  return places;
}

std::string axes_of(const LinePlot& plot, const Frame& frame) {
  const double right = kWidth - kRight;
  const double bottom = kHeight - kBottom;
  std::string out;
  for (const double place : ticks(frame.x_range())) {
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>", frame.x(place),
                       kTop, bottom);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.6g}</text>", frame.x(place), bottom + 16,
                       place);
  }
  for (const double place : ticks(frame.y_range())) {
    out += fmt::format("<line class=\"grid\" x1=\"{1}\" y1=\"{0:.1f}\" x2=\"{2}\" y2=\"{0:.1f}\"/>", frame.y(place),
                       kLeft, right);
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.6g}</text>", kLeft - 6, frame.y(place) + 4,
                       place);
  }
  out += fmt::format("<rect class=\"frame\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", kLeft, kTop, right - kLeft,
                     bottom - kTop);
  out += fmt::format("<text x=\"{}\" y=\"20\" class=\"title\">{}</text>", kLeft, xml_escape(plot.title));
  out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", (kLeft + right) / 2, kHeight - 10,
                     xml_escape(plot.x.label));
  out += fmt::format("<text transform=\"translate(16,{:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                     (kTop + bottom) / 2, xml_escape(plot.y.label));
  return out;
}

std::string line_of(const PlotSeries& series, std::string_view colour, const Frame& frame) {
  std::string points;
  std::string markers;
  for (const PlotPoint& point : series.points) {
    if (!is_drawable(point)) continue;
    points += fmt::format("{:.1f},{:.1f} ", frame.x(point.x), frame.y(point.y));
    if (series.markers)
      markers += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>", frame.x(point.x),
                             frame.y(point.y), colour);
  }
  const std::string_view dash = series.dashed ? " stroke-dasharray=\"5 4\"" : "";
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"{}/>{}", points, colour,
                     dash, markers);
}

std::string legend_entry(const PlotSeries& series, std::string_view colour, int row) {
  if (series.name.empty()) return {};
  const double y = kTop + 8 + 17.0 * row;
  const double x = kWidth - kRight + 10;
  const std::string_view dash = series.dashed ? " stroke-dasharray=\"5 4\"" : "";
  return fmt::format(
      "<line x1=\"{0}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\" stroke=\"{3}\" stroke-width=\"2.5\"{4}/><text x=\"{5}\" "
      "y=\"{6}\">{7}</text>",
      x, y, x + 18, colour, dash, x + 23, y + 4, xml_escape(series.name));
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    switch (letter) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += (static_cast<unsigned char>(letter) < 0x20 && letter != '\n' && letter != '\t') ? ' ' : letter;
    }
  }
  return out;
}

std::string svg_of(const LinePlot& plot) {
  const Frame frame(plot);
  std::string body = axes_of(plot, frame);
  int row = 0;
  for (std::size_t index = 0; index < plot.series.size(); ++index) {
    const std::string_view colour = kColours[index % kColours.size()];
    body += line_of(plot.series[index], colour, frame);
    body += legend_entry(plot.series[index], colour, row);
    if (!plot.series[index].name.empty()) ++row;
  }
  const double height = std::max(kHeight, kTop + 20 + 17.0 * row);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
      "aria-label=\"{2}\">{3}</svg>\n",
      kWidth, height, xml_escape(plot.title), body);
}

std::string svg_of(const MatrixPlot& plot) {
  const std::size_t classes = plot.labels.size();
  const auto longest = std::ranges::max_element(plot.labels, {}, &std::string::size);
  const double margin =
      30 + 6.6 * static_cast<double>(longest == plot.labels.end() ? 0 : std::min<std::size_t>(longest->size(), 30));
  const double cell = std::clamp(420.0 / static_cast<double>(std::max<std::size_t>(classes, 1)), 26.0, 60.0);
  const double side = cell * static_cast<double>(classes);
  const double top = margin + 26;
  std::string body = fmt::format("<text x=\"8\" y=\"20\" class=\"title\">{}</text>", xml_escape(plot.title));
  for (std::size_t row = 0; row < classes; ++row) {
    const double place = cell * (static_cast<double>(row) + 0.5);
    const std::string label = xml_escape(plot.labels[row].substr(0, 30));
    body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", margin - 6, top + place + 4,
                        label);
    body += fmt::format("<text transform=\"translate({:.1f},{:.1f}) rotate(-60)\">{}</text>", margin + place + 2,
                        top - 6, label);
    std::int64_t total = 0;
    for (std::size_t column = 0; column < classes; ++column) total += plot.counts[row * classes + column];
    for (std::size_t column = 0; column < classes; ++column) {
      const std::int64_t count = plot.counts[row * classes + column];
      const double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0;
      const double x = margin + cell * static_cast<double>(column);
      const double y = top + cell * static_cast<double>(row);
      body += fmt::format(
          "<rect class=\"cell\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"#0072B2\" "
          "fill-opacity=\"{:.3f}\"/>",
          x, y, cell, cell, share);
      if (count == 0) continue;
      body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" class=\"{}\">{}</text>", x + cell / 2,
                          y + cell / 2 + 4, share > 0.5 ? "light" : "dark", count);
    }
  }
  // The slanted labels above the last columns reach beyond the cells.
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "role=\"img\" aria-label=\"{2}\">{3}</svg>\n",
      margin + side + margin * 0.6 + 10, top + side + 10, xml_escape(plot.title), body);
}

}  // namespace strandline
