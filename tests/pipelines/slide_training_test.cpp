#include "pipelines/slide/train_slides.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/cpu/cpu_backend.hpp"
#include "io/features/bag_writer.hpp"
#include "io/tables/table_reader.hpp"
#include "pipelines/slide/mil_store.hpp"
#include "pipelines/slide/predict_slides.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::put_bytes;
using testing::TemporaryFolder;

constexpr std::int64_t kWidth = 6;

// A bag of noise; the bags of class 1 hold a few patches whose first feature is large.
struct Bag {
  std::vector<PatchCoordinate> places;
  std::vector<float> features;
};

Bag make_bag(std::uint64_t number, bool positive) {
  RandomStream random(11, number);
  Bag bag;
  const auto patches = static_cast<std::int64_t>(5 + random.below(20));
  for (std::int64_t patch = 0; patch < patches; ++patch) {
    bag.places.push_back({256.0 * static_cast<double>(patch % 5), 256.0 * static_cast<double>(patch / 5)});
    for (std::int64_t i = 0; i < kWidth; ++i) bag.features.push_back(static_cast<float>(0.3 * random.normal()));
    if (positive && patch % 4 == 1) bag.features[static_cast<std::size_t>(patch * kWidth)] += 3;
  }
  return bag;
}

void write_bag(const std::string& path, const Bag& bag) {
  BagWriter writer(path, {.width = kWidth, .name = "s", .patch_size = 256, .patch_size_level0 = 256});
  writer.append(bag.places, bag.features);
  writer.commit();
}

// 24 slides of 20 patients in a folder, and a run over them.
class SlideTraining : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_ / "bags");
    std::string table = "case_id,slide_id,label\n";
    for (int slide = 0; slide < 24; ++slide) {
      const int patient = slide % 20;
      const bool positive = patient % 2 == 1;
      std::string name = "s";
      name.append(std::to_string(slide));
      write_bag(bag_path(name), make_bag(static_cast<std::uint64_t>(slide), positive));
      table.append("p").append(std::to_string(patient)).append(",").append(name);
      table.append(positive ? ",tumour\n" : ",normal\n");
    }
    put_bytes(folder_ / "labels.csv", table);
    options_.features = folder_ / "bags";
    options_.table = folder_ / "labels.csv";
    options_.folds = {.folds = 3, .validation_fraction = 0.2};
    options_.settings = {{"d_model", "8"}, {"attention_width", "4"}};
    options_.epochs = 40;
    options_.patience_from_epoch = 10;
    options_.learning_rate = 1e-2;
  }

  std::string bag_path(const std::string& slide) const { return folder_ / ("bags/" + slide + ".h5"); }

  struct Outcome {
    std::vector<FoldResult> folds;
    OutOfFold all;
  };

  // A run in a process of its own, as it were.
  Outcome run(const std::string& output, int threads = 1, const SlideRunControl& control = {}) const {
    const SlideData data = load_slide_data(options_);
    const MilConfig config = mil_config_of(options_, data);
    const auto backend = make_cpu_backend({.threads = threads});
    const SlideRun run{options_, data, config, folder_ / output, *backend};
    Outcome outcome;
    for (std::int64_t fold = 0; fold < std::ssize(data.folds); ++fold)
      outcome.folds.push_back(run_fold(run, fold, control));
    outcome.all = collect(data, outcome.folds);
    return outcome;
  }

  static std::vector<std::string> hashes(const Outcome& outcome) {
    std::vector<std::string> out;
    for (const FoldResult& fold : outcome.folds) out.push_back(fold.model_hash);
    return out;
  }

  TemporaryFolder folder_;
  SlideTrainOptions options_;
};

TEST_F(SlideTraining, FindsThePlantedPatches) {
  const Outcome outcome = run("run");

  EXPECT_EQ(outcome.all.slides.size(), 24U);
  EXPECT_EQ(*std::max_element(outcome.all.patients.begin(), outcome.all.patients.end()), 19);
  EXPECT_GT(score(outcome.all.predictions).auroc, 0.95);
}

TEST_F(SlideTraining, HasTheSameBitsForAnyThreadsAndAnyCache) {
  options_.epochs = 4;
  const Outcome one = run("one", 1);
  options_.cache_bytes = 0;
  const Outcome three = run("three", 3);

  EXPECT_EQ(hashes(one), hashes(three));
  EXPECT_EQ(one.all.predictions.probabilities, three.all.predictions.probabilities);
}

TEST_F(SlideTraining, HasTheSameBitsForAnyOrderInTheFiles) {
  options_.epochs = 3;
  const std::vector<std::string> expected = hashes(run("one"));
  for (int slide = 0; slide < 24; ++slide) {
    std::string name = "s";
    name.append(std::to_string(slide));
    const Bag bag = make_bag(static_cast<std::uint64_t>(slide), slide % 20 % 2 == 1);
    Bag reversed;
    for (std::size_t i = bag.places.size(); i-- > 0;) {
      reversed.places.push_back(bag.places[i]);
      const auto row = bag.features.begin() + static_cast<std::ptrdiff_t>(i) * kWidth;
      reversed.features.insert(reversed.features.end(), row, row + kWidth);
    }
    write_bag(bag_path(name), reversed);
  }

  EXPECT_EQ(hashes(run("two")), expected);
}

TEST_F(SlideTraining, GoesOnFromWhereItWasStoppedToTheSameBits) {
  options_.epochs = 6;
  const std::vector<std::string> expected = hashes(run("whole"));
  // Stopped again and again, each time some steps further.
  int interruptions = 0;
  while (true) {
    std::stop_source source;
    int steps = 0;
    SlideRunControl control{.stop = source.get_token()};
    control.progress = [&](const SlideProgress&) {
      if (++steps == 13) source.request_stop();
    };
    try {
      EXPECT_EQ(hashes(run("stopped", 1, control)), expected);
      break;
    } catch (const InterruptedError&) {
      ++interruptions;
      ASSERT_LT(interruptions, 100);
    }
  }
  EXPECT_GT(interruptions, 3);
}

TEST_F(SlideTraining, RefusesCheckpointsOfAnotherRun) {
  options_.epochs = 1;
  run("run");
  options_.learning_rate = 0.5;

  EXPECT_THAT(message_of<DataError>([&] { run("run"); }), HasSubstr("learning_rate"));
}

TEST_F(SlideTraining, DrawsEveryClassAsOftenWhenAsked) {
  const auto backend = make_cpu_backend({.threads = 1});
  MilModel model(published_config(MilKind::mean, kWidth, 2), *backend);
  BagStore store({}, {}, 0);
  const BagList training{.bags = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, .labels = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  const BagLearner uniform(model, {store, training, training, BagSampling::shuffle});
  const BagLearner weighted(model, {store, training, training, BagSampling::by_class});

  int rare = 0;
  std::vector<int> seen(10, 0);
  for (std::int64_t number = 0; number < 1000; ++number) {
    rare += weighted.example(number, 5) == 9 ? 1 : 0;
    ++seen[static_cast<std::size_t>(uniform.example(number, 5))];
  }

  EXPECT_NEAR(rare, 500, 80);  // five standard deviations of 1,000 fair coins
  EXPECT_EQ(seen, std::vector<int>(10, 100));
}

TEST_F(SlideTraining, PredictsAsItJudged) {
  options_.epochs = 5;
  const Outcome outcome = run("run");
  const SlideData data = load_slide_data(options_);
  const auto backend = make_cpu_backend({.threads = 2});
  SlidePredictOptions predict{.model = folder_ / "run/fold_1/model.h5", .output = folder_ / "slides.tsv"};
  for (const std::int64_t slide : data.folds[1].test)
    predict.bags.push_back(data.sources[static_cast<std::size_t>(slide)].path);

  const SlidePredictSummary summary = predict_slides(predict, *backend);

  EXPECT_EQ(summary.failed, 0);
  TableReader table(folder_ / "slides.tsv");
  std::vector<std::string> fields;
  for (std::size_t row = 0; table.next(fields); ++row) {
    const double judged = outcome.folds[1].test.probabilities[2 * row + 1];
    EXPECT_NEAR(std::stod(fields[table.column("p_tumour")]), judged, 0.51e-6);  // six digits
  }
}

TEST_F(SlideTraining, PredictsTheOtherSlidesWhenOneIsBroken) {
  options_.epochs = 1;
  run("run");
  put_bytes(bag_path("s3"), "not a bag");
  write_bag(bag_path("s4"), {});
  const auto backend = make_cpu_backend({.threads = 1});

  const SlidePredictSummary summary = predict_slides(
      {.model = folder_ / "run", .bags = {options_.features}, .output = folder_ / "slides.tsv"}, *backend);

  EXPECT_EQ(summary.models, 3);
  EXPECT_EQ(summary.slides, 24);
  EXPECT_EQ(summary.failed, 2);
  const std::string table = bytes_of(folder_ / "slides.tsv");
  EXPECT_THAT(table, HasSubstr("s3\tNA\tNA\tNA\tNA\tNA\t"));
  EXPECT_THAT(table, HasSubstr("no tissue was found"));
}

TEST_F(SlideTraining, WritesClamsTables) {
  options_.epochs = 1;
  const Outcome outcome = run("run");
  const SlideData data = load_slide_data(options_);

  const std::string fold = fold_csv(data, 0, outcome.folds[0].test);
  const std::string summary = summary_csv(outcome.folds);
  EXPECT_EQ(fold.substr(0, fold.find('\n')), "slide_id,Y,Y_hat,p_0,p_1");
  EXPECT_EQ(std::count(fold.begin(), fold.end(), '\n'), 1 + std::ssize(data.folds[0].test));
  EXPECT_EQ(summary.substr(0, summary.find('\n')), ",folds,test_auc,val_auc,test_acc,val_acc");
  EXPECT_THAT(predictions_tsv(data, outcome.all),
              HasSubstr("slide_id\tcase_id\tfold\tlabel\tpredicted\tp_normal\tp_tumour"));
}

TEST_F(SlideTraining, RefusesFeaturesOfAnotherWidthWhenPredicting) {
  options_.epochs = 1;
  run("run");
  const auto backend = make_cpu_backend({.threads = 1});
  BagWriter writer(folder_ / "wide.h5", {.width = 7, .name = "s", .patch_size = 1, .patch_size_level0 = 1});
  writer.append(std::vector<PatchCoordinate>{{0, 0}}, std::vector<float>(7));
  writer.commit();

  const SlidePredictSummary summary =
      predict_slides({.model = folder_ / "run", .bags = {folder_ / "wide.h5"}, .output = folder_ / "t.tsv"}, *backend);

  EXPECT_THAT(summary.first_failure, HasSubstr("has 7 features per patch, the model takes 6"));
}

TEST(MilConfigJson, ReadsBackAndRefusesWhatItDoesNotKnow) {
  const MilConfig config = published_config(MilKind::mamba2_mil, 384, 3);
  const std::string json = mil_config_to_json(config);

  EXPECT_EQ(mil_config_from_json(json, "m"), config);
  std::string changed = json;
  changed.insert(changed.find("\"classes\""), "\"colour\":1,");
  EXPECT_THAT(message_of<DataError>([&] { mil_config_from_json(changed, "m"); }), HasSubstr("unknown field 'colour'"));
  EXPECT_THAT(message_of<DataError>([&] { mil_config_from_json("{}", "m"); }), HasSubstr("not a model of slides"));
}

}  // namespace
}  // namespace strandline
