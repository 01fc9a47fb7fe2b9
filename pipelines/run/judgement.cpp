#include "pipelines/run/judgement.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

Json scores_json(const Evaluation& evaluation) {
  Json scores = Json::object();
  for (const ScoreField& field : kScoreFields) {
    scores[std::string(field.name)] = {{"value", evaluation.scores.*field.value},
                                       {"low", evaluation.low.*field.value},
                                       {"high", evaluation.high.*field.value}};
  }
  return scores;
}

Json classes_json(const Evaluation& evaluation, const std::vector<std::string>& class_names) {
  Json classes = Json::array();
  for (std::size_t class_id = 0; class_id < evaluation.classes.size(); ++class_id) {
    const ClassScores& scores = evaluation.classes[class_id];
    classes.push_back({{"name", class_names[class_id]},
                       {"examples", scores.examples},
                       {"precision", scores.precision},
                       {"recall", scores.recall},
                       {"f1", scores.f1},
                       {"auroc", scores.auroc},
                       {"auprc", scores.auprc}});
  }
  return classes;
}

Json confusion_json(const Evaluation& evaluation) {
  const std::size_t classes = evaluation.classes.size();
  Json rows = Json::array();
  for (std::size_t row = 0; row < classes; ++row) {
    const auto begin = evaluation.confusion.begin() + static_cast<std::ptrdiff_t>(row * classes);
    rows.push_back(std::vector<std::int64_t>(begin, begin + static_cast<std::ptrdiff_t>(classes)));
  }
  return rows;
}

Json reliability_json(const Evaluation& evaluation) {
  Json bins = Json::array();
  for (const ReliabilityBin& bin : evaluation.reliability) {
    bins.push_back({{"examples", bin.examples}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  }
  return bins;
}

std::string method_of(const Evaluation& evaluation) {
  if (evaluation.clusters == 0) return "percentile bootstrap over examples";
  return fmt::format("percentile bootstrap over {} clusters (patients)", evaluation.clusters);
}

}  // namespace

std::string with_thousands(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string out;
  for (std::size_t place = 0; place < digits.size(); ++place) {
    const bool after_digit = place > 0 && digits[place - 1] != '-';
    if (after_digit && (digits.size() - place) % 3 == 0) out += ',';
    out += digits[place];
  }
  return out;
}

std::string title_of(const Judgement& judgement) {
  if (judgement.length == 0) return judgement.model;
  return fmt::format("{}, {} bases", judgement.model, with_thousands(judgement.length));
}

std::string to_json(const std::vector<Judgement>& judgements, const std::vector<std::string>& class_names) {
  Json all = Json::array();
  for (const Judgement& judgement : judgements) {
    const Evaluation& evaluation = judgement.evaluation;
    all.push_back(
        {{"model", judgement.model},
         {"baseline", judgement.baseline},
         {"length", judgement.length},
         {"examples", evaluation.examples},
         {"scores", scores_json(evaluation)},
         {"interval", {{"level", 0.95}, {"method", method_of(evaluation)}, {"resamples", evaluation.resamples}}},
         {"classes", classes_json(evaluation, class_names)},
         {"confusion", confusion_json(evaluation)},
         {"reliability", reliability_json(evaluation)}});
  }
  const Json out = {
      {"format", "strandline metrics"}, {"version", 1}, {"class_names", class_names}, {"judgements", all}};
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace strandline
