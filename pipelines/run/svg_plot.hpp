// Plots as inline SVG: no scripts, no fonts or files of others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strandline {

/// & < > " ' as entities; control characters that XML forbids become spaces.
std::string xml_escape(std::string_view text);

struct PlotPoint {
  double x;
  double y;
};

struct PlotSeries {
  std::string name;  ///< in the legend; empty: not there
  std::vector<PlotPoint> points;
  bool dashed = false;
  bool markers = false;
};

struct PlotAxis {
  std::string label;
  double low = 0;
  double high = 0;  ///< low == high: from the data
};

struct LinePlot {
  std::string title;
  PlotAxis x;
  PlotAxis y;
  std::vector<PlotSeries> series;
};

/// Lines in colours that the colour-blind tell apart (Okabe and Ito). Points that are not finite are left out.
std::string svg_of(const LinePlot& plot);

struct MatrixPlot {
  std::string title;
  std::vector<std::string> labels;
  std::vector<std::int64_t> counts;  ///< labels.size() squared: row is the truth, column the prediction
};

/// Shade by share of the row, number of the cell inside.
std::string svg_of(const MatrixPlot& plot);

}  // namespace strandline
