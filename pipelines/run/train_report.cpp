#include "pipelines/run/train_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/version.hpp"
#include "pipelines/run/duration.hpp"
#include "pipelines/run/svg_plot.hpp"

namespace strandline {
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

std::string number(double value, int digits = 4) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "–";
}

std::string element(std::string_view tag, std::string_view content) {
  return fmt::format("<{0}>{1}</{0}>\n", tag, content);
}

std::string table_of(const std::string& header, const std::string& rows) {
  return fmt::format("<div class=\"wide\"><table>{}{}</table></div>\n", header, rows);
}

std::string plots(std::string_view content) { return fmt::format("<div class=\"plots\">{}</div>\n", content); }

std::string cell(const std::string& text, bool words = false) {
  return fmt::format("<td{}>{}</td>", words ? " class=\"words\"" : "", xml_escape(text));
}

std::string header_row(const std::vector<std::string>& titles) {
  std::string row;
  for (const std::string& title : titles) row += fmt::format("<th>{}</th>", xml_escape(title));
  return fmt::format("<thead><tr>{}</tr></thead>\n", row);
}

std::string headline(const TrainReport& report) {
  std::string out = "<p>";
  for (const Judgement& judgement : report.judgements) {
    const Evaluation& evaluation = judgement.evaluation;
    out +=
        fmt::format("{}: <b>{:.1f} %</b> of {} held-out examples right (95 % interval {:.1f} to {:.1f}).<br>\n",
                    xml_escape(title_of(judgement)), 100 * evaluation.scores.accuracy,
                    with_thousands(evaluation.examples), 100 * evaluation.low.accuracy, 100 * evaluation.high.accuracy);
  }
  return out + "</p>\n";
}

std::string scores_table(const TrainReport& report) {
  std::vector<std::string> titles{"Score"};
  for (const Judgement& judgement : report.judgements) titles.push_back(title_of(judgement));
  std::string rows;
  for (const ScoreField& field : kScoreFields) {
    std::string row = cell(std::string(field.title));
    for (const Judgement& judgement : report.judgements) {
      const Evaluation& evaluation = judgement.evaluation;
      row += fmt::format("<td>{} <span class=\"interval\">{} – {}</span></td>", number(evaluation.scores.*field.value),
                         number(evaluation.low.*field.value), number(evaluation.high.*field.value));
    }
    rows += element("tr", row);
  }
  return table_of(header_row(titles), rows);
}

std::string class_table(const TrainReport& report, const Judgement& judgement) {
  std::string rows;
  for (std::size_t class_id = 0; class_id < report.classes.size(); ++class_id) {
    const ClassScores& scores = judgement.evaluation.classes[class_id];
    std::string row = cell(report.classes[class_id].name) + cell(with_thousands(scores.examples));
    for (const double value : {scores.precision, scores.recall, scores.f1, scores.auroc, scores.auprc})
      row += cell(number(value));
    rows += element("tr", row);
  }
  return table_of(header_row({"Class", "Examples", "Precision", "Recall", "F1", "AUROC", "AUPRC"}), rows);
}

std::string data_table(const TrainReport& report) {
  std::string rows;
  for (const ClassData& data : report.classes) {
    rows +=
        element("tr", cell(data.name) + cell(with_thousands(data.training_sequences)) +
                          cell(with_thousands(data.training_bases)) + cell(with_thousands(data.held_out_sequences)) +
                          cell(with_thousands(data.held_out_bases)) + cell(data.held_out, true));
  }
  return table_of(header_row({"Class", "Training sequences", "bases", "Held-out sequences", "bases", "Held out"}),
                  rows);
}

enum class Curve : std::uint8_t { loss, accuracy };

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

std::string roc_plot(const TrainReport& report, const Judgement& judgement) {
  LinePlot plot{"ROC, one class against the rest: " + title_of(judgement),
                {"false positive rate", 0, 1},
                {"true positive rate", 0, 1},
                {}};
  for (std::size_t class_id = 0; class_id < report.classes.size(); ++class_id) {
    plot.series.push_back({report.classes[class_id].name, thinned(judgement.evaluation.roc[class_id]), false, false});
  }
  return svg_of(plot);
}

std::string calibration_plot(const TrainReport& report) {
  LinePlot plot{"Calibration", {"stated probability of the predicted class", 0, 1}, {"share right", 0, 1}, {}};
  for (const Judgement& judgement : report.judgements) {
    if (judgement.baseline) continue;
    PlotSeries series{
        judgement.length > 0 ? with_thousands(judgement.length) + " bases" : judgement.model, {}, false, true};
    for (const ReliabilityBin& bin : judgement.evaluation.reliability) {
      if (bin.examples > 0) series.points.push_back({bin.confidence, bin.accuracy});
    }
    plot.series.push_back(std::move(series));
  }
  plot.series.push_back({"ideal", {{0, 0}, {1, 1}}, true, false});
  return svg_of(plot);
}

std::string judgement_section(const TrainReport& report, const Judgement& judgement) {
  std::vector<std::string> names;
  for (const ClassData& data : report.classes) names.push_back(data.name);
  const MatrixPlot matrix{"Confusion: rows are the truth, columns the prediction", names,
                          judgement.evaluation.confusion};
  return element("h2", xml_escape(title_of(judgement))) + plots(svg_of(matrix) + roc_plot(report, judgement)) +
         class_table(report, judgement);
}

std::string settings_table(const TrainReport& report) {
  std::string rows;
  for (const auto& [name, value] : report.settings) rows += element("tr", cell(name) + cell(value, true));
  return table_of(header_row({"Setting", "Value"}), rows);
}

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

std::string repeat_section(const RunManifest& manifest) {
  std::string command;
  for (const std::string& word : manifest.command_line) {
    if (!command.empty()) command += ' ';
    command += shell_word(word);
  }
  std::string rows;
  for (const InputSummary& input : manifest.inputs) {
    rows += element("tr", cell(input.path) + cell(with_thousands(input.size_bytes)) + cell(input.sha256, true));
  }
  const std::string how = fmt::format(
      "strandline {}, seed {}, back end {}, {} threads (their number changes no result), from {} to {}. The same "
      "inputs, seed, version and kind of processor give the same model, bit for bit.",
      kVersion, manifest.seed, xml_escape(manifest.backend), manifest.threads, manifest.started, manifest.finished);
  return element("h2", "How to repeat it") + element("pre", xml_escape(command)) + element("p", how) +
         table_of(header_row({"Input", "Bytes", "SHA-256"}), rows);
}

std::string training_section(const TrainReport& report) {
  const TrainingHistory& history = report.history;
  std::string text = fmt::format(
      "{} steps, {} bases seen, {}. The weights are those of step {}, with the smallest validation loss ({:.4f}).",
      with_thousands(history.state.step), with_thousands(history.state.tokens), format_duration(history.seconds),
      with_thousands(history.best_step), history.best_loss);
  if (history.state.skipped_steps > 0) {
    text += fmt::format(" {} steps were skipped because their loss or gradient was not finite.",
                        history.state.skipped_steps);
  }
  return element("h2", "Training") + element("p", text) +
         plots(curve_plot(history, Curve::loss) + curve_plot(history, Curve::accuracy));
}

}  // namespace

std::string to_html(const TrainReport& report) {
  std::string body = element("h1", xml_escape(report.title)) + headline(report);
  body += element("h2", "Scores on held-out examples") + scores_table(report);
  for (const std::string& note : report.notes) body += element("p", xml_escape(note));
  for (const Judgement& judgement : report.judgements) {
    if (!judgement.baseline) body += judgement_section(report, judgement);
  }
  body += element("h2", "Calibration") + plots(calibration_plot(report));
  body += training_section(report);
  body += element("h2", "Data") + data_table(report);
  body += element("h2", "Settings") + settings_table(report);
  body += repeat_section(report.manifest);
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<title>{}</title>\n<style>{}</style></head>\n<body>\n{}</body></html>\n",
      xml_escape(report.title), kStyle, body);
}

}  // namespace strandline
