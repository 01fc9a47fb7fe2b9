#include "pipelines/run/train_report.hpp"

#include <fmt/format.h>

#include "pipelines/run/duration.hpp"
#include "pipelines/run/html_parts.hpp"
#include "pipelines/run/svg_plot.hpp"

namespace strandline {
namespace {

using html::cell;
using html::curve_plot;
using html::element;
using html::header_row;
using html::number;
using html::plots;
using html::repeat_section;
using html::table_of;
using html::thinned;

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
                          cell(with_thousands(data.held_out_bases)) + cell(data.held_out, html::Align::words));
  }
  return table_of(header_row({"Class", "Training sequences", "bases", "Held-out sequences", "bases", "Held out"}),
                  rows);
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
  for (const auto& [name, value] : report.settings) rows += element("tr", cell(name) + cell(value, html::Align::words));
  return table_of(header_row({"Setting", "Value"}), rows);
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
         plots(curve_plot(history, html::Curve::loss) + curve_plot(history, html::Curve::accuracy));
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
  return html::page(report.title, body);
}

}  // namespace strandline
