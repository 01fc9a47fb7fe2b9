#include "pipelines/run/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"

namespace strandline {
namespace {

Predictions predictions(std::int64_t classes, std::vector<std::int32_t> labels, std::vector<double> probabilities) {
  return {classes, std::move(labels), std::move(probabilities)};
}

// The examples of sklearn_metrics.py.
Predictions twelve_examples() {
  return predictions(3, {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2},
                     {0.70, 0.20, 0.10, 0.50, 0.30, 0.20, 0.40, 0.35, 0.25, 0.20, 0.60, 0.20,  //
                      0.10, 0.80, 0.10, 0.30, 0.50, 0.20, 0.50, 0.30, 0.20, 0.25, 0.40, 0.35,  //
                      0.05, 0.05, 0.90, 0.20, 0.20, 0.60, 0.30, 0.50, 0.20, 0.40, 0.30, 0.30});
}

TEST(Metrics, AgreeWithScikitLearn) {
  const Scores ours = score(twelve_examples());

  // Printed by sklearn_metrics.py with scikit-learn 1.9.1.
  EXPECT_NEAR(ours.accuracy, 0.666666667, 1e-9);
  EXPECT_NEAR(ours.balanced_accuracy, 0.666666667, 1e-9);
  EXPECT_NEAR(ours.macro_f1, 0.666666667, 1e-9);
  EXPECT_NEAR(ours.mcc, 0.516397779, 1e-9);
  EXPECT_NEAR(ours.auroc, 0.791666667, 1e-9);
  EXPECT_NEAR(ours.auprc, 0.696759259, 1e-9);
  EXPECT_NEAR(ours.log_loss, 0.836808491, 1e-9);
  EXPECT_NEAR(ours.brier, 0.487083333, 1e-9);
}

TEST(Metrics, AreTheNumbersOnPaper) {
  // Two classes; truth 0 0 0 1 1; predicted 0 0 1 1 0. Recalls 2/3 and 1/2.
  const Evaluation evaluation =
      evaluate(predictions(2, {0, 0, 0, 1, 1}, {0.9, 0.1, 0.8, 0.2, 0.4, 0.6, 0.3, 0.7, 0.8, 0.2}), {.resamples = 0});
  const Scores& scores = evaluation.scores;

  EXPECT_EQ(evaluation.confusion, (std::vector<std::int64_t>{2, 1, 1, 1}));
  EXPECT_DOUBLE_EQ(scores.accuracy, 0.6);
  EXPECT_DOUBLE_EQ(scores.balanced_accuracy, (2.0 / 3 + 0.5) / 2);
  // F1: 2*2/(3+3) and 2*1/(2+2).
  EXPECT_DOUBLE_EQ(scores.macro_f1, (2.0 / 3 + 0.5) / 2);
  // (2*1 - 1*1) / sqrt(3 * 3 * 2 * 2)
  EXPECT_DOUBLE_EQ(scores.mcc, 1.0 / 6);
  // Class 1 at 0.7 beats all three of class 0; at 0.2 it loses to 0.6, ties with 0.2 and beats 0.1: 3 + 1.5 of 6.
  EXPECT_DOUBLE_EQ(evaluation.classes[1].auroc, 4.5 / 6);
  EXPECT_DOUBLE_EQ(evaluation.classes[0].auroc, 4.5 / 6);
  // Class 1: rank 1 right (precision 1); the pair at 0.2 comes third and fourth, one of them right: precision 2/4.
  EXPECT_DOUBLE_EQ(evaluation.classes[1].auprc, 0.5 * 1 + 0.5 * 0.5);
  EXPECT_DOUBLE_EQ(scores.log_loss,
                   -(std::log(0.9) + std::log(0.8) + std::log(0.4) + std::log(0.7) + std::log(0.2)) / 5);
  EXPECT_DOUBLE_EQ(scores.brier, 2 * (0.01 + 0.04 + 0.36 + 0.09 + 0.64) / 5);
  EXPECT_TRUE(std::isnan(evaluation.low.accuracy));
}

TEST(Metrics, MeasureCalibrationInFifteenBins) {
  // Bin (11/15, 12/15] holds 0.75 and 0.8 (one right of two), the last bin 1.0 (right).
  const Evaluation evaluation = evaluate(predictions(2, {0, 1, 0}, {0.75, 0.25, 0.8, 0.2, 1.0, 0.0}), {.resamples = 0});

  EXPECT_EQ(evaluation.reliability[11].examples, 2);
  EXPECT_DOUBLE_EQ(evaluation.reliability[11].confidence, 0.775);
  EXPECT_DOUBLE_EQ(evaluation.reliability[11].accuracy, 0.5);
  EXPECT_EQ(evaluation.reliability[14].examples, 1);
  EXPECT_DOUBLE_EQ(evaluation.scores.calibration_error, 2.0 / 3 * 0.275);
}

TEST(Metrics, LeaveOutClassesThatDoNotOccur) {
  const Evaluation evaluation =
      evaluate(predictions(3, {0, 1, 1}, {0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.6, 0.3, 0.1}), {.resamples = 0});

  EXPECT_DOUBLE_EQ(evaluation.scores.balanced_accuracy, 0.75);
  EXPECT_TRUE(std::isnan(evaluation.classes[2].auroc));
  EXPECT_TRUE(std::isnan(evaluation.classes[2].recall));
  EXPECT_FALSE(std::isnan(evaluation.scores.auroc));
  EXPECT_TRUE(evaluation.roc[2].empty());
}

TEST(Metrics, AreUndefinedWithoutExamplesAndZeroWithoutAgreement) {
  EXPECT_TRUE(std::isnan(evaluate(predictions(2, {}, {})).scores.accuracy));
  EXPECT_EQ(score(predictions(2, {0, 0}, {0.9, 0.1, 0.8, 0.2})).mcc, 0.0);
}

TEST(Metrics, DrawTheRocCurveThroughTies) {
  const Evaluation evaluation =
      evaluate(predictions(2, {1, 0, 1, 0}, {0.1, 0.9, 0.5, 0.5, 0.5, 0.5, 0.9, 0.1}), {.resamples = 0});
  const auto& curve = evaluation.roc[1];

  ASSERT_EQ(curve.size(), 4U);
  EXPECT_DOUBLE_EQ(curve[1].true_positive_rate, 0.5);
  EXPECT_DOUBLE_EQ(curve[1].false_positive_rate, 0.0);
  EXPECT_DOUBLE_EQ(curve[2].true_positive_rate, 1.0);
  EXPECT_DOUBLE_EQ(curve[2].false_positive_rate, 0.5);
}

Predictions many(std::int64_t examples, double share_right) {
  Predictions out;
  out.classes = 2;
  RandomStream random(1, 1);
  for (std::int64_t index = 0; index < examples; ++index) {
    const bool right = random.uniform() < share_right;
    out.labels.push_back(right ? 0 : 1);
    out.probabilities.insert(out.probabilities.end(), {0.8, 0.2});
  }
  return out;
}

TEST(Metrics, GiveIntervalsLikeTheBinomialOnesAndAlwaysTheSame) {
  const Predictions examples = many(1000, 0.9);

  const Evaluation evaluation = evaluate(examples, {.resamples = 1000, .seed = 4});

  const double p = evaluation.scores.accuracy;
  const double half_width = 1.96 * std::sqrt(p * (1 - p) / 1000);
  EXPECT_NEAR(evaluation.low.accuracy, p - half_width, 0.004);
  EXPECT_NEAR(evaluation.high.accuracy, p + half_width, 0.004);
  EXPECT_EQ(evaluate(examples, {.resamples = 1000, .seed = 4}).low.accuracy, evaluation.low.accuracy);
  EXPECT_EQ(evaluate(examples, {.resamples = 1000, .seed = 4}).high.brier, evaluation.high.brier);
}

// Four slides that say the same are one observation, not four: the interval is that of the patients.
TEST(Metrics, ResampleWholeClusters) {
  const Predictions patients = twelve_examples();
  Predictions slides;
  slides.classes = patients.classes;
  std::vector<std::int64_t> clusters;
  for (std::size_t patient = 0; patient < patients.labels.size(); ++patient) {
    for (int slide = 0; slide < 4; ++slide) {
      slides.labels.push_back(patients.labels[patient]);
      const auto row = patients.probabilities.begin() + static_cast<std::ptrdiff_t>(3 * patient);
      slides.probabilities.insert(slides.probabilities.end(), row, row + 3);
      clusters.push_back(static_cast<std::int64_t>(patient));
    }
  }

  const Evaluation of_patients = evaluate(patients, {.seed = 4});
  const Evaluation of_slides = evaluate(slides, {.seed = 4, .clusters = clusters});

  EXPECT_EQ(of_slides.low.accuracy, of_patients.low.accuracy);
  EXPECT_EQ(of_slides.high.accuracy, of_patients.high.accuracy);
  EXPECT_EQ(of_slides.clusters, 12);
  EXPECT_GT(evaluate(slides, {.seed = 4}).low.accuracy, of_slides.low.accuracy);
  EXPECT_THROW(evaluate(patients, {.clusters = {0}}), ContractError);
}

TEST(Metrics, RefuseWhatCannotBe) {
  EXPECT_THROW(score(predictions(2, {2}, {0.5, 0.5})), ContractError);
  EXPECT_THROW(score(predictions(2, {0}, {0.5})), ContractError);
  EXPECT_THROW(score(predictions(2, {0}, {std::numeric_limits<double>::quiet_NaN(), 0.5})), NumericError);
}

TEST(Metrics, TurnLogitsIntoProbabilities) {
  Predictions out;
  out.classes = 2;

  append_softmax(std::vector<float>{0.0F, 0.0F, 1000.0F, 0.0F}, out);

  EXPECT_EQ(out.probabilities, (std::vector<double>{0.5, 0.5, 1.0, 0.0}));
}

}  // namespace
}  // namespace strandline
