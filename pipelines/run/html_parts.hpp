// What reports are made of: one HTML file that needs no other and runs no script.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/run/metrics.hpp"
#include "pipelines/run/run_manifest.hpp"
#include "pipelines/run/svg_plot.hpp"
#include "pipelines/run/training_history.hpp"

namespace strandline::html {

/// A dash for what is not finite.
std::string number(double value, int digits = 4);

/// <tag>content</tag>; the content is HTML already.
std::string element(std::string_view tag, std::string_view content);

std::string table_of(const std::string& header, const std::string& rows);
std::string header_row(const std::vector<std::string>& titles);
enum class Align : std::uint8_t { numbers, words };
/// Text, escaped here.
std::string cell(const std::string& text, Align align = Align::numbers);

/// Side by side.
std::string plots(std::string_view content);

enum class Curve : std::uint8_t { loss, accuracy };
/// Of training and validation over the steps.
std::string curve_plot(const TrainingHistory& history, Curve curve);
/// A few hundred points of a curve, the last among them.
std::vector<PlotPoint> thinned(const std::vector<RocPoint>& points);

/// Command line, version, seed, inputs.
std::string repeat_section(const RunManifest& manifest);

std::string page(const std::string& title, const std::string& body);

}  // namespace strandline::html
