// How good a classifier is, over a whole set of examples, with intervals.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strandline {

/// What a classifier said about N examples of C classes.
struct Predictions {
  std::int64_t classes = 0;
  std::vector<std::int32_t> labels;   ///< N, the truth
  std::vector<double> probabilities;  ///< N * C, rows sum to one

  std::int64_t examples() const { return static_cast<std::int64_t>(labels.size()); }
};

/// Turns rows of C logits into probabilities and appends them.
void append_softmax(std::span<const float> logits, Predictions& predictions);

/// The predicted class is the first of the most probable ones. "One against the rest" scores are macro averages over
/// the classes that have both positives and negatives. A score that is not defined (no examples, one class only for
/// areas) is NaN.
struct Scores {
  double accuracy = 0;
  double balanced_accuracy = 0;  ///< mean recall over the classes that occur
  double macro_f1 = 0;           ///< over the classes that occur or are predicted
  double mcc = 0;                ///< multiclass (Gorodkin 2004); 0 when undefined
  double auroc = 0;              ///< one against the rest; ties count half
  double auprc = 0;              ///< average precision, one against the rest
  double log_loss = 0;           ///< natural logarithm; probabilities clipped at 1e-15
  double brier = 0;              ///< mean over examples of the sum over classes of squared errors
  double calibration_error = 0;  ///< expected calibration error, 15 equal bins of the top probability (Guo et al. 2017)
};

struct ScoreField {
  std::string_view name;
  std::string_view title;
  double Scores::*value;
  bool higher_is_better;
};

inline constexpr std::array<ScoreField, 9> kScoreFields{{
    {"accuracy", "Accuracy", &Scores::accuracy, true},
    {"balanced_accuracy", "Balanced accuracy", &Scores::balanced_accuracy, true},
    {"macro_f1", "Macro F1", &Scores::macro_f1, true},
    {"mcc", "Matthews correlation", &Scores::mcc, true},
    {"auroc", "AUROC", &Scores::auroc, true},
    {"auprc", "AUPRC", &Scores::auprc, true},
    {"log_loss", "Log loss", &Scores::log_loss, false},
    {"brier", "Brier score", &Scores::brier, false},
    {"calibration_error", "Calibration error", &Scores::calibration_error, false},
}};

struct ClassScores {
  std::int64_t examples = 0;
  double precision = 0;  ///< NaN when never predicted
  double recall = 0;     ///< NaN when it does not occur
  double f1 = 0;
  double auroc = 0;
  double auprc = 0;
};

inline constexpr int kReliabilityBins = 15;

struct ReliabilityBin {
  std::int64_t examples = 0;
  double confidence = 0;  ///< mean top probability of the examples in the bin
  double accuracy = 0;
};

struct RocPoint {
  double false_positive_rate;
  double true_positive_rate;
};

struct Evaluation {
  std::int64_t examples = 0;
  Scores scores;
  Scores low;  ///< bootstrap interval, 95 %
  Scores high;
  int resamples = 0;
  std::int64_t clusters = 0;  ///< that were resampled; 0: examples were
  std::vector<ClassScores> classes;
  std::vector<std::int64_t> confusion;  ///< C * C: row is the truth, column the prediction
  std::array<ReliabilityBin, kReliabilityBins> reliability{};
  std::vector<std::vector<RocPoint>> roc;  ///< per class, from (0, 0) to (1, 1); empty where undefined
};

struct BootstrapOptions {
  int resamples = 1000;  ///< 0: no intervals (low and high are NaN)
  std::uint64_t seed = 0;
  /// Cluster of each example, numbered from 0 (the slides of one patient); examples of a cluster are drawn together.
  /// Empty: every example is one.
  std::vector<std::int64_t> clusters{};
};

/// Percentile bootstrap over examples or clusters (Efron and Tibshirani 1993, chapter 13; Davison and Hinkley 1997,
/// section 3.8), with counter-based random numbers: same predictions and seed, same numbers. @throws ContractError for
/// labels out of range or sizes that disagree, NumericError for probabilities that are not finite. Cost: one sort per
/// class, then N * C per resample.
Evaluation evaluate(const Predictions& predictions, const BootstrapOptions& options = {});

/// Scores alone, without intervals: for the loop of training.
Scores score(const Predictions& predictions);

}  // namespace strandline
