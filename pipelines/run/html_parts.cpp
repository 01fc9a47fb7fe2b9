#include "pipelines/run/html_parts.hpp"

#include <fmt/format.h>

#include <cmath>

#include "core/base/version.hpp"
#include "pipelines/run/judgement.hpp"

namespace strandline::html {
namespace {

constexpr const char* kStyle = R"(
 body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 1180px; margin: 2em auto; padding: 0 1em; }
 h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #ccc; }
 table { border-collapse: collapse; margin: .6em 0 1.2em; } th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; }
 th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #888; } td.words, th.words { text-align: left; }
 .interval { color: #666; font-size: .85em; white-space: nowrap; } .plots { display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start; }
 pre { background: #f4f4f4; padding: .8em; overflow-x: auto; white-space: pre-wrap; } .wide { overflow-x: auto; }
 svg text { font: 11px system-ui, sans-serif; fill: #222; } svg .title { font-size: 13px; font-weight: 600; } svg .light { fill: #fff; }
 svg .grid { stroke: #e4e4e4; } svg .frame { fill: none; stroke: #888; } svg .cell { stroke: #ddd; stroke-width: .5; }
)";

// Quoted for a POSIX shell where needed.
std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted;
  for (const char letter : word) {
    if (letter == '\'') quoted += "'\\'";
    quoted += letter;
  }
  return fmt::format("'{}'", quoted);
}

}  // namespace

std::string number(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "–";
}

std::string element(std::string_view tag, std::string_view content) {
  return fmt::format("<{0}>{1}</{0}>\n", tag, content);
}

std::string table_of(const std::string& header, const std::string& rows) {
  return fmt::format("<div class=\"wide\"><table>{}{}</table></div>\n", header, rows);
}

std::string plots(std::string_view content) { return fmt::format("<div class=\"plots\">{}</div>\n", content); }

std::string cell(const std::string& text, Align align) {
  return fmt::format("<td{}>{}</td>", align == Align::words ? " class=\"words\"" : "", xml_escape(text));
}

std::string header_row(const std::vector<std::string>& titles) {
  std::string row;
  for (const std::string& title : titles) row += fmt::format("<th>{}</th>", xml_escape(title));
  return fmt::format("<thead><tr>{}</tr></thead>\n", row);
}

std::string curve_plot(const TrainingHistory& history, Curve curve) {
  const bool loss = curve == Curve::loss;
  LinePlot plot{loss ? "Loss" : "Accuracy",
                {"step"},
                {loss ? "cross entropy (nats)" : "share right"},
                {{"training", {}, false, false}, {"validation", {}, false, true}}};
  for (const LossPoint& point : history.losses) {
    plot.series[0].points.push_back({static_cast<double>(point.step), loss ? point.loss : point.accuracy});
  }
  for (const ValidationPoint& point : history.validations) {
    plot.series[1].points.push_back({static_cast<double>(point.step), loss ? point.loss : point.accuracy});
  }
  return svg_of(plot);
}

// A curve of tens of thousands of points looks the same with a few hundred.
std::vector<PlotPoint> thinned(const std::vector<RocPoint>& points) {
  constexpr std::size_t kMost = 200;
  std::vector<PlotPoint> out;
  const std::size_t stride = points.size() / kMost + 1;
  for (std::size_t index = 0; index < points.size(); index += stride)
    out.push_back({points[index].false_positive_rate, points[index].true_positive_rate});
  if (!points.empty()) out.push_back({points.back().false_positive_rate, points.back().true_positive_rate});
  return out;
}

std::string repeat_section(const RunManifest& manifest) {
  std::string command;
  for (const std::string& word : manifest.command_line) {
    if (!command.empty()) command += ' ';
    command += shell_word(word);
  }
  std::string rows;
  for (const InputSummary& input : manifest.inputs) {
    rows += element("tr", cell(input.path) + cell(with_thousands(input.size_bytes)) + cell(input.sha256, Align::words));
  }
  const std::string how = fmt::format(
      "strandline {}, seed {}, back end {}, {} threads (their number changes no result), from {} to {}. The same "
      "inputs, seed, version and kind of processor give the same model, bit for bit.",
      kVersion, manifest.seed, xml_escape(manifest.backend), manifest.threads, manifest.started, manifest.finished);
  return element("h2", "How to repeat it") + element("pre", xml_escape(command)) + element("p", how) +
         table_of(header_row({"Input", "Bytes", "SHA-256"}), rows);
}

std::string page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<title>{}</title>\n<style>{}</style></head>\n<body>\n{}</body></html>\n",
      xml_escape(title), kStyle, body);
}

}  // namespace strandline::html
