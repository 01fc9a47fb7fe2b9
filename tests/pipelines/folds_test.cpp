#include "pipelines/slide/folds.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::put_bytes;
using testing::TemporaryFolder;

constexpr const char* kTable =
    "case_id,slide_id,label\n"
    "p1,a.svs,tumour\np1,b,tumour\np2,c,normal\np3,d,normal\np4,e,tumour\np5,f,normal\n";

// Patients 0 .. patients - 1 of classes in turn (2 : 1), every third with two slides.
LabelTable cohort(int patients) {
  LabelTable table{.path = "cohort.csv", .class_names = {"a", "b"}, .slides = {}, .has_patients = true};
  for (int patient = 0; patient < patients; ++patient) {
    for (int slide = 0; slide < (patient % 3 == 0 ? 2 : 1); ++slide) {
      std::string name = "p";
      name.append(std::to_string(patient));
      table.slides.push_back({name + "_" + std::to_string(slide), name, patient % 3 == 1 ? 1 : 0});
    }
  }
  return table;
}

std::set<std::string> patients_of(const LabelTable& table, const std::vector<std::int64_t>& slides) {
  std::set<std::string> names;
  for (const std::int64_t slide : slides) names.insert(table.slides[static_cast<std::size_t>(slide)].patient);
  return names;
}

TEST(LabelTable, TakesColumnsByNameAndSlidesWithoutTheirEnding) {
  const TemporaryFolder folder;
  put_bytes(folder / "t.csv", kTable);

  const LabelTable table = read_label_table(folder / "t.csv");

  ASSERT_EQ(table.slides.size(), 6U);
  EXPECT_EQ(table.slides[0].slide_id, "a");
  EXPECT_EQ(table.slides[1].patient, "p1");
  EXPECT_EQ(table.class_names, (std::vector<std::string>{"normal", "tumour"}));
  EXPECT_EQ(table.slides[0].label, 1);
}

TEST(LabelTable, NumbersItsClassesByValueAndNotByTheOrderOfRows) {
  const TemporaryFolder folder;
  put_bytes(folder / "t.tsv", "slide\tgrade\nx\t10\ny\t2\nz\t0\n");

  const LabelTable table = read_label_table(folder / "t.tsv", {.slide = "slide", .label = "grade"});

  EXPECT_EQ(table.class_names, (std::vector<std::string>{"0", "2", "10"}));
  EXPECT_FALSE(table.has_patients);
  EXPECT_EQ(table.slides[0].patient, "x");
}

TEST(LabelTable, RefusesWhatCannotBeMeant) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> cases{
      {"slide_id,label\na,x\na,y\n", "'a' is there twice"},
      {"slide_id,label\na,x\nb,x\n", "1 different labels"},
      {"slide_id,label\na,\nb,x\n", "the field is empty"},
      {"slide,label\na,y\nb,x\n", "no column 'slide_id'"},
  };
  for (const auto& [text, message] : cases) {
    put_bytes(folder / "t.csv", text);
    EXPECT_THAT(message_of<DataError>([&] { read_label_table(folder / "t.csv"); }), HasSubstr(message));
  }
}

TEST(MatchSlides, NamesWhatIsInOnePlaceOnly) {
  const TemporaryFolder folder;
  put_bytes(folder / "t.csv", "slide_id,label\na,x\nb,y\nc,y\n");
  std::filesystem::create_directory(folder / "bags");
  for (const char* name : {"bags/a.h5", "bags/b.pt", "bags/other.h5"}) put_bytes(folder / name, "x");
  const LabelTable table = read_label_table(folder / "t.csv");

  const std::string missing =
      message_of<DataError>([&] { match_slides(table, folder / "bags", MissingPolicy::error); });
  EXPECT_THAT(missing, HasSubstr("1 slides have no features"));
  EXPECT_THAT(missing, HasSubstr(": c."));
  const MatchedSlides matched = match_slides(table, folder / "bags", MissingPolicy::skip);
  EXPECT_EQ(matched.table.slides.size(), 2U);
  EXPECT_EQ(matched.without_features, (std::vector<std::string>{"c"}));
  EXPECT_EQ(matched.without_label, (std::vector<std::string>{"other"}));

  put_bytes(folder / "bags/c.h5", "x");
  EXPECT_THAT(message_of<DataError>([&] { match_slides(table, folder / "bags", MissingPolicy::error); }),
              HasSubstr("1 slides are not in"));
  put_bytes(folder / "bags/c.pt", "x");
  EXPECT_THAT(message_of<DataError>([&] { match_slides(table, folder / "bags", MissingPolicy::skip); }),
              HasSubstr("features of the same slide as"));
}

TEST(Folds, JudgeEverySlideOnceAndKeepPatientsTogether) {
  const LabelTable table = cohort(50);
  const std::vector<Fold> folds = make_folds(table, {.folds = 5});

  std::vector<int> judged(table.slides.size(), 0);
  ASSERT_EQ(folds.size(), 5U);
  for (const Fold& fold : folds) {
    EXPECT_EQ(fold.train.size() + fold.validation.size() + fold.test.size(), table.slides.size());
    for (const std::int64_t slide : fold.test) ++judged[static_cast<std::size_t>(slide)];
    const auto train = patients_of(table, fold.train);
    const auto validation = patients_of(table, fold.validation);
    for (const std::string& patient : patients_of(table, fold.test)) {
      EXPECT_FALSE(train.contains(patient));
      EXPECT_FALSE(validation.contains(patient));
    }
    for (const std::string& patient : validation) EXPECT_FALSE(train.contains(patient));
  }
  EXPECT_TRUE(std::all_of(judged.begin(), judged.end(), [](int times) { return times == 1; }));
}

TEST(Folds, HaveTheClassesInEqualShares) {
  const LabelTable table = cohort(60);  // 40 patients of a, 20 of b
  for (const Fold& fold : make_folds(table, {.folds = 10, .validation_fraction = 0.2})) {
    std::map<std::int32_t, std::set<std::string>> judged;
    std::map<std::int32_t, std::set<std::string>> choosing;
    for (const std::int64_t i : fold.test)
      judged[table.slides[static_cast<std::size_t>(i)].label].insert(table.slides[static_cast<std::size_t>(i)].patient);
    for (const std::int64_t i : fold.validation)
      choosing[table.slides[static_cast<std::size_t>(i)].label].insert(
          table.slides[static_cast<std::size_t>(i)].patient);
    EXPECT_EQ(judged[0].size(), 4U);
    EXPECT_EQ(judged[1].size(), 2U);
    EXPECT_EQ(choosing[0].size(), 7U);  // a fifth of the 36 that are not judged
    EXPECT_EQ(choosing[1].size(), 4U);  // of 18
  }
}

TEST(Folds, FollowTheSeedAndNotTheOrderOfRows) {
  const LabelTable table = cohort(30);
  LabelTable reversed = table;
  std::reverse(reversed.slides.begin(), reversed.slides.end());

  const auto names = [](const LabelTable& of, const Fold& fold) { return patients_of(of, fold.test); };
  const std::vector<Fold> folds = make_folds(table, {.folds = 5, .seed = 7});
  const std::vector<Fold> others = make_folds(reversed, {.folds = 5, .seed = 7});
  for (std::size_t i = 0; i < folds.size(); ++i) EXPECT_EQ(names(table, folds[i]), names(reversed, others[i]));
  EXPECT_NE(names(table, folds[0]), names(table, make_folds(table, {.folds = 5, .seed = 8})[0]));
}

TEST(Folds, OfMonteCarloDrawTheTestSlidesAnew) {
  const LabelTable table = cohort(50);
  const std::vector<Fold> folds =
      make_folds(table, {.scheme = FoldOptions::Scheme::monte_carlo, .folds = 20, .test_fraction = 0.2});

  std::set<std::string> ever;
  for (const Fold& fold : folds) {
    const auto judged = patients_of(table, fold.test);
    EXPECT_EQ(judged.size(), 10U);
    ever.insert(judged.begin(), judged.end());
  }
  EXPECT_GT(ever.size(), 40U);
}

TEST(Folds, RefuseAClassWithFewerPatientsThanFolds) {
  const LabelTable table = cohort(12);  // 4 patients of b

  const std::string message = message_of<DataError>([&] { make_folds(table, {.folds = 5}); });

  EXPECT_THAT(message, HasSubstr("the class 'b' has 4 patients, fewer than 5 folds"));
}

TEST(Splits, OfClamReadBack) {
  const TemporaryFolder folder;
  const LabelTable table = cohort(30);
  const std::vector<Fold> folds = make_folds(table, {.folds = 3});
  for (std::size_t i = 0; i < folds.size(); ++i)
    put_bytes(folder / ("splits_" + std::to_string(i) + ".csv"), split_csv(folds[i], table));

  const std::vector<Fold> read = read_splits(folder.path().string(), table);

  ASSERT_EQ(read.size(), folds.size());
  for (std::size_t i = 0; i < folds.size(); ++i) {
    EXPECT_EQ(read[i].train, folds[i].train);
    EXPECT_EQ(read[i].validation, folds[i].validation);
    EXPECT_EQ(read[i].test, folds[i].test);
  }
}

TEST(Splits, RefuseAPatientInTwoPartsAndUnknownSlides) {
  const TemporaryFolder folder;
  const std::string path = folder / "splits_0.csv";
  put_bytes(folder / "t.csv", kTable);
  const LabelTable table = read_label_table(folder / "t.csv");
  const std::map<std::string, std::string> cases{
      {",train,val,test\n0,a,c,b\n1,d,,\n", "the patient 'p1' is in train and in test"},
      {",train,val,test\n0,a,c,zz\n1,d,,\n", "the slide 'zz' is not in"},
      {",train,val,test\n0,a,c,e\n1,c,,\n", "'c' is there twice"},
      {",train,val,test\n0,a,c,\n1,d,,\n", "names no slide"},
      {",train,val,test\n0,a,c,d\n", "no slide of the class 'normal'"},
      {",train,test\n0,a,c\n", "no column 'val'"},
  };
  for (const auto& [text, message] : cases) {
    put_bytes(path, text);
    EXPECT_THAT(message_of<DataError>([&] { read_splits(folder.path().string(), table); }), HasSubstr(message)) << text;
  }
  std::filesystem::remove(path);
  EXPECT_THAT(message_of<DataError>([&] { read_splits(folder.path().string(), table); }), HasSubstr("no splits_0.csv"));
}

}  // namespace
}  // namespace strandline
