#include "pipelines/slide/slide_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pipelines/run/html_parts.hpp"

namespace strandline {
namespace {

using html::cell;
using html::element;
using html::header_row;
using html::number;
using html::plots;
using html::table_of;

std::string headline(const SlideReport& report) {
  const Evaluation& evaluation = report.judgement.evaluation;
  return fmt::format(
      "<p>{}: AUROC <b>{}</b> (95 % interval {} to {}), {:.1f} % of {} slides right ({:.1f} to {:.1f}), each judged by "
      "a "
      "model that had not seen its patient.</p>\n",
      xml_escape(report.judgement.model), number(evaluation.scores.auroc, 3), number(evaluation.low.auroc, 3),
      number(evaluation.high.auroc, 3), 100 * evaluation.scores.accuracy, with_thousands(evaluation.examples),
      100 * evaluation.low.accuracy, 100 * evaluation.high.accuracy);
}

std::string scores_table(const Evaluation& evaluation) {
  std::string rows;
  for (const ScoreField& field : kScoreFields) {
    rows += element("tr", cell(std::string(field.title)) + cell(number(evaluation.scores.*field.value)) +
                              cell(number(evaluation.low.*field.value)) + cell(number(evaluation.high.*field.value)));
  }
  return table_of(header_row({"Score", "All folds", "95 % from", "to"}), rows);
}

std::string fold_table(const SlideReport& report) {
  std::string rows;
  for (std::size_t i = 0; i < report.folds.size(); ++i) {
    const FoldResult& fold = report.folds[i];
    const Fold& split = report.data.folds[i];
    const Scores test = score(fold.test);
    const Scores validation = score(fold.validation);
    rows += element("tr", cell(std::to_string(i)) + cell(std::to_string(split.train.size())) +
                              cell(std::to_string(split.validation.size())) + cell(std::to_string(split.test.size())) +
                              cell(number(test.auroc)) + cell(number(validation.auroc)) + cell(number(test.accuracy)) +
                              cell(number(validation.accuracy)) + cell(std::to_string(fold.history.best_step)) +
                              cell(std::to_string(fold.history.state.step)));
  }
  return table_of(header_row({"Fold", "Train", "Validation", "Test", "Test AUROC", "Validation AUROC", "Test accuracy",
                              "Validation accuracy", "Best step", "Steps"}),
                  rows);
}

std::string class_table(const SlideReport& report) {
  std::string rows;
  for (std::size_t i = 0; i < report.data.table.class_names.size(); ++i) {
    const ClassScores& scores = report.judgement.evaluation.classes[i];
    std::string row = cell(report.data.table.class_names[i]) + cell(with_thousands(scores.examples));
    for (const double value : {scores.precision, scores.recall, scores.f1, scores.auroc, scores.auprc})
      row += cell(number(value));
    rows += element("tr", row);
  }
  return table_of(header_row({"Class", "Slides", "Precision", "Recall", "F1", "AUROC", "AUPRC"}), rows);
}

std::string judgement_plots(const SlideReport& report) {
  const Evaluation& evaluation = report.judgement.evaluation;
  const MatrixPlot confusion{"Confusion: rows are the truth, columns the prediction", report.data.table.class_names,
                             evaluation.confusion};
  LinePlot roc{"ROC, one class against the rest", {"false positive rate", 0, 1}, {"true positive rate", 0, 1}, {}};
  for (std::size_t i = 0; i < report.data.table.class_names.size(); ++i)
    roc.series.push_back({report.data.table.class_names[i], html::thinned(evaluation.roc[i]), false, false});
  LinePlot calibration{"Calibration", {"stated probability of the predicted class", 0, 1}, {"share right", 0, 1}, {}};
  PlotSeries stated{report.judgement.model, {}, false, true};
  for (const ReliabilityBin& bin : evaluation.reliability) {
    if (bin.examples > 0) stated.points.push_back({bin.confidence, bin.accuracy});
  }
  calibration.series = {std::move(stated), {"ideal", {{0, 0}, {1, 1}}, true, false}};
  return plots(svg_of(confusion) + svg_of(roc) + svg_of(calibration));
}

std::string data_section(const SlideReport& report) {
  const std::vector<BagInfo>& bags = report.data.bags;
  const auto [smallest, largest] = std::minmax_element(
      bags.begin(), bags.end(), [](const BagInfo& a, const BagInfo& b) { return a.patches < b.patches; });
  std::string out =
      element("p", fmt::format("{} slides of {} to {} patches, {} features each ({}); patches in the order '{}'.",
                               with_thousands(std::ssize(bags)), with_thousands(smallest->patches),
                               with_thousands(largest->patches), report.data.width, xml_escape(bags.front().layout),
                               name_of(report.data.order.kind)));
  if (report.data.left_out.empty()) return out;
  std::string names;
  for (const std::string& name : report.data.left_out) names += (names.empty() ? "" : ", ") + name;
  return out + element("p", fmt::format("Left out: {} slides: {}.", report.data.left_out.size(), xml_escape(names)));
}

}  // namespace

std::string to_html(const SlideReport& report) {
  std::string body = element("h1", xml_escape(report.title)) + headline(report);
  body += element("h2", "Scores of out-of-fold predictions") + scores_table(report.judgement.evaluation);
  body +=
      element("p",
              "Intervals: 95 % percentile bootstrap over patients, 1,000 resamples, of the pooled predictions of all "
              "folds. The folds share training slides, so that their scores vary less than those of independent "
              "models would.");
  body += judgement_plots(report) + class_table(report);
  body += element("h2", "Folds") + fold_table(report);
  for (std::size_t i = 0; i < report.folds.size(); ++i) {
    const TrainingHistory& history = report.folds[i].history;
    body += element("h3", fmt::format("Fold {}", i)) +
            plots(html::curve_plot(history, html::Curve::loss) + html::curve_plot(history, html::Curve::accuracy));
  }
  body += element("h2", "Data") + data_section(report);
  std::string rows;
  for (const auto& [name, value] : report.settings) rows += element("tr", cell(name) + cell(value, html::Align::words));
  body += element("h2", "Settings") + table_of(header_row({"Setting", "Value"}), rows);
  body += html::repeat_section(report.manifest);
  return html::page(report.title, body);
}

}  // namespace strandline
