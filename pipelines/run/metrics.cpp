#include "pipelines/run/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/model/classifier.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallestProbability = 1e-15;
constexpr double kIntervalTail = 0.025;

double ratio(double part, double whole) { return whole > 0 ? part / whole : kNaN; }

// Mean of the defined values.
class Mean {
 public:
  void add(double value) {
    if (std::isnan(value)) return;
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ > 0 ? sum_ / count_ : kNaN; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

// How often each example counts: once, or as often as a resample drew it.
using Multiplicity = std::span<const std::int32_t>;

struct Areas {
  double roc = kNaN;
  double precision_recall = kNaN;
};

// Everything about the predictions that resampling does not change.
class ScoreTable {
 public:
  explicit ScoreTable(const Predictions& predictions);

  Scores scores(Multiplicity multiplicity) const;
  std::vector<std::int64_t> confusion(Multiplicity multiplicity) const;
  Areas areas(std::size_t class_id, Multiplicity multiplicity) const;
  std::vector<RocPoint> roc(std::size_t class_id) const;
  std::array<ReliabilityBin, kReliabilityBins> reliability(Multiplicity multiplicity) const;
  std::size_t examples() const { return labels_.size(); }
  std::size_t classes() const { return classes_; }

 private:
  double probability(std::size_t example, std::size_t class_id) const {
    return predictions_.probabilities[example * classes_ + class_id];
  }
  bool is_positive(std::size_t example, std::size_t class_id) const { return labels_[example] == class_id; }
  void score_confusion(Multiplicity multiplicity, Scores& out) const;
  void score_probabilities(Multiplicity multiplicity, Scores& out) const;

  const Predictions& predictions_;
  std::size_t classes_;
  std::vector<std::size_t> labels_;
  std::vector<std::size_t> predicted_;
  std::vector<double> log_loss_;
  std::vector<double> brier_;
  std::vector<std::vector<std::uint32_t>> order_;  // per class: examples by falling probability
};

void require_valid(const Predictions& predictions) {
  const auto classes = static_cast<std::size_t>(predictions.classes);
  if (predictions.classes < 1 || predictions.probabilities.size() != predictions.labels.size() * classes) {
    throw ContractError("evaluate: " + std::to_string(predictions.labels.size()) + " labels of " +
                        std::to_string(predictions.classes) + " classes do not fit " +
                        std::to_string(predictions.probabilities.size()) + " probabilities");
  }
  for (const std::int32_t label : predictions.labels) {
    if (label < 0 || label >= predictions.classes)
      throw ContractError("evaluate: label " + std::to_string(label) + " is out of range");
  }
  if (!std::ranges::all_of(predictions.probabilities, [](double value) { return std::isfinite(value); })) {
    throw NumericError("the model gave a probability that is not finite");
  }
}

ScoreTable::ScoreTable(const Predictions& predictions)
    : predictions_(predictions), classes_(static_cast<std::size_t>(predictions.classes)) {
  require_valid(predictions);
  for (std::size_t example = 0; example < predictions.labels.size(); ++example) {
    const std::span<const double> row(predictions.probabilities.data() + example * classes_, classes_);
    const auto label = static_cast<std::size_t>(predictions.labels[example]);
    labels_.push_back(label);
    predicted_.push_back(static_cast<std::size_t>(std::ranges::max_element(row) - row.begin()));
    log_loss_.push_back(-std::log(std::clamp(row[label], kSmallestProbability, 1.0)));
    double squares = 0;
    for (std::size_t class_id = 0; class_id < classes_; ++class_id) {
      const double error = row[class_id] - (class_id == label ? 1.0 : 0.0);
      squares += error * error;
    }
    brier_.push_back(squares);
  }
  order_.resize(classes_);
  for (std::size_t class_id = 0; class_id < classes_; ++class_id) {
    auto& order = order_[class_id];
    order.resize(labels_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::uint32_t example) { return probability(example, class_id); });
  }
}

std::vector<std::int64_t> ScoreTable::confusion(Multiplicity multiplicity) const {
  std::vector<std::int64_t> counts(classes_ * classes_);
  for (std::size_t example = 0; example < examples(); ++example)
    counts[labels_[example] * classes_ + predicted_[example]] += multiplicity[example];
  return counts;
}

void ScoreTable::score_confusion(Multiplicity multiplicity, Scores& out) const {
  const std::vector<std::int64_t> counts = confusion(multiplicity);
  double total = 0;
  double correct = 0;
  double agreement = 0;  // sum over classes of truth * prediction
  double truth_square = 0;
  double predicted_square = 0;
  Mean recall;
  Mean f1;
  for (std::size_t class_id = 0; class_id < classes_; ++class_id) {
    double truth = 0;
    double predicted = 0;
    for (std::size_t other = 0; other < classes_; ++other) {
      truth += static_cast<double>(counts[class_id * classes_ + other]);
      predicted += static_cast<double>(counts[other * classes_ + class_id]);
    }
    const auto hits = static_cast<double>(counts[class_id * classes_ + class_id]);
    recall.add(ratio(hits, truth));
    f1.add(ratio(2 * hits, truth + predicted));
    total += truth;
    correct += hits;
    agreement += truth * predicted;
    truth_square += truth * truth;
    predicted_square += predicted * predicted;
  }
  out.accuracy = ratio(correct, total);
  out.balanced_accuracy = recall.value();
  out.macro_f1 = f1.value();
  const double spread = std::sqrt(total * total - predicted_square) * std::sqrt(total * total - truth_square);
  out.mcc = total == 0 ? kNaN : spread > 0 ? (correct * total - agreement) / spread : 0.0;
}

Areas ScoreTable::areas(std::size_t class_id, Multiplicity multiplicity) const {
  double positives = 0;
  double negatives = 0;
  double roc = 0;
  double precision_recall = 0;
  const auto& order = order_[class_id];
  for (std::size_t at = 0; at < order.size();) {
    // Examples with the same probability come as one group: no threshold tells them apart.
    const double value = probability(order[at], class_id);
    double group_positives = 0;
    double group_negatives = 0;
    for (; at < order.size() && probability(order[at], class_id) == value; ++at) {
      (is_positive(order[at], class_id) ? group_positives : group_negatives) += multiplicity[order[at]];
    }
    roc += group_negatives * (positives + group_positives / 2);
    positives += group_positives;
    negatives += group_negatives;
    if (group_positives > 0) precision_recall += group_positives * positives / (positives + negatives);
  }
  if (positives == 0 || negatives == 0) return {};
  return {roc / (positives * negatives), precision_recall / positives};
}

void ScoreTable::score_probabilities(Multiplicity multiplicity, Scores& out) const {
  double total = 0;
  double log_loss = 0;
  double brier = 0;
  for (std::size_t example = 0; example < examples(); ++example) {
    total += multiplicity[example];
    log_loss += multiplicity[example] * log_loss_[example];
    brier += multiplicity[example] * brier_[example];
  }
  out.log_loss = ratio(log_loss, total);
  out.brier = ratio(brier, total);
  double gap = 0;
  for (const ReliabilityBin& bin : reliability(multiplicity)) {
    if (bin.examples > 0) gap += static_cast<double>(bin.examples) * std::abs(bin.confidence - bin.accuracy);
  }
  out.calibration_error = ratio(gap, total);
  Mean roc;
  Mean precision_recall;
  for (std::size_t class_id = 0; class_id < classes_; ++class_id) {
    const Areas area = areas(class_id, multiplicity);
    roc.add(area.roc);
    precision_recall.add(area.precision_recall);
  }
  out.auroc = roc.value();
  out.auprc = precision_recall.value();
}

Scores ScoreTable::scores(Multiplicity multiplicity) const {
  Scores out;
  score_confusion(multiplicity, out);
  score_probabilities(multiplicity, out);
  return out;
}

std::array<ReliabilityBin, kReliabilityBins> ScoreTable::reliability(Multiplicity multiplicity) const {
  std::array<ReliabilityBin, kReliabilityBins> bins{};
  for (std::size_t example = 0; example < examples(); ++example) {
    const double confidence = probability(example, predicted_[example]);
    // Bins are (low, high], as in the paper; a confidence of 0 belongs to the first.
    const int index =
        std::clamp(static_cast<int>(std::ceil(confidence * kReliabilityBins)) - 1, 0, kReliabilityBins - 1);
    ReliabilityBin& bin = bins[static_cast<std::size_t>(index)];
    bin.examples += multiplicity[example];
    bin.confidence += multiplicity[example] * confidence;
    if (predicted_[example] == labels_[example]) bin.accuracy += multiplicity[example];
  }
  for (ReliabilityBin& bin : bins) {
    bin.confidence = ratio(bin.confidence, static_cast<double>(bin.examples));
    bin.accuracy = ratio(bin.accuracy, static_cast<double>(bin.examples));
  }
  return bins;
}

std::vector<RocPoint> ScoreTable::roc(std::size_t class_id) const {
  const auto positives = static_cast<double>(std::ranges::count(labels_, class_id));
  const double negatives = static_cast<double>(examples()) - positives;
  if (positives == 0 || negatives == 0) return {};
  std::vector<RocPoint> points{{0, 0}};
  double true_positives = 0;
  double false_positives = 0;
  const auto& order = order_[class_id];
  for (std::size_t at = 0; at < order.size(); ++at) {
    (is_positive(order[at], class_id) ? true_positives : false_positives) += 1;
    const bool tied = at + 1 < order.size() && probability(order[at + 1], class_id) == probability(order[at], class_id);
    if (!tied) points.push_back({false_positives / negatives, true_positives / positives});
  }
  return points;
}

std::vector<ClassScores> class_scores(const ScoreTable& table, const std::vector<std::int64_t>& confusion,
                                      Multiplicity once) {
  std::vector<ClassScores> scores(table.classes());
  for (std::size_t class_id = 0; class_id < table.classes(); ++class_id) {
    std::int64_t truth = 0;
    std::int64_t predicted = 0;
    for (std::size_t other = 0; other < table.classes(); ++other) {
      truth += confusion[class_id * table.classes() + other];
      predicted += confusion[other * table.classes() + class_id];
    }
    const auto hits = static_cast<double>(confusion[class_id * table.classes() + class_id]);
    const Areas area = table.areas(class_id, once);
    scores[class_id] = {truth,
                        ratio(hits, static_cast<double>(predicted)),
                        ratio(hits, static_cast<double>(truth)),
                        ratio(2 * hits, static_cast<double>(truth + predicted)),
                        area.roc,
                        area.precision_recall};
  }
  return scores;
}

// Value below which `share` of the defined values lie, linear between neighbours.
double quantile(std::vector<double> values, double share) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return kNaN;
  std::ranges::sort(values);
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - static_cast<double>(below));
}

// Examples of each cluster.
std::vector<std::vector<std::size_t>> members_of(const std::vector<std::int64_t>& clusters, std::size_t examples) {
  std::vector<std::vector<std::size_t>> members;
  if (!clusters.empty() && clusters.size() != examples) throw ContractError("evaluate: one cluster per example");
  for (std::size_t example = 0; example < examples; ++example) {
    const std::int64_t cluster = clusters.empty() ? static_cast<std::int64_t>(example) : clusters[example];
    if (cluster < 0 || std::cmp_greater_equal(cluster, examples))
      throw ContractError("evaluate: clusters are numbered from 0");
    if (std::cmp_less_equal(members.size(), cluster)) members.resize(static_cast<std::size_t>(cluster) + 1);
    members[static_cast<std::size_t>(cluster)].push_back(example);
  }
  return members;
}

void bootstrap(const ScoreTable& table, const BootstrapOptions& options, Evaluation& out) {
  const std::uint64_t seed = seed_for(options.seed, RandomUse::bootstrap);
  const auto members = members_of(options.clusters, table.examples());
  std::vector<Scores> resampled;
  std::vector<std::int32_t> multiplicity(table.examples());
  for (int resample = 0; resample < options.resamples && table.examples() > 0; ++resample) {
    std::ranges::fill(multiplicity, 0);
    RandomStream random(seed, static_cast<std::uint64_t>(resample));
    for (std::size_t draw = 0; draw < members.size(); ++draw) {
      for (const std::size_t example : members[random.below(members.size())]) ++multiplicity[example];
    }
    resampled.push_back(table.scores(multiplicity));
  }
  for (const ScoreField& field : kScoreFields) {
    std::vector<double> values;
    for (const Scores& scores : resampled) values.push_back(scores.*field.value);
    out.low.*field.value = quantile(values, kIntervalTail);
    out.high.*field.value = quantile(values, 1 - kIntervalTail);
  }
  out.resamples = options.resamples;
  out.clusters = options.clusters.empty() ? 0 : std::ssize(members);
}

}  // namespace

void append_softmax(std::span<const float> logits, Predictions& predictions) {
  const auto classes = static_cast<std::size_t>(predictions.classes);
  if (classes == 0 || logits.size() % classes != 0) throw ContractError("append_softmax: logits are not whole rows");
  std::vector<double> row(classes);
  for (std::size_t begin = 0; begin < logits.size(); begin += classes) {
    class_probabilities(logits.subspan(begin, classes), row);
    predictions.probabilities.insert(predictions.probabilities.end(), row.begin(), row.end());
  }
}

Evaluation evaluate(const Predictions& predictions, const BootstrapOptions& options) {
  const ScoreTable table(predictions);
  const std::vector<std::int32_t> once(table.examples(), 1);
  Evaluation out;
  out.examples = predictions.examples();
  out.scores = table.scores(once);
  out.confusion = table.confusion(once);
  out.reliability = table.reliability(once);
  out.classes = class_scores(table, out.confusion, once);
  for (std::size_t class_id = 0; class_id < table.classes(); ++class_id) out.roc.push_back(table.roc(class_id));
  bootstrap(table, options, out);
  return out;
}

Scores score(const Predictions& predictions) {
  const ScoreTable table(predictions);
  return table.scores(std::vector<std::int32_t>(table.examples(), 1));
}

}  // namespace strandline
