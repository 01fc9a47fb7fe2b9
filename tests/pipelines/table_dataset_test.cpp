#include "pipelines/dna/table_dataset.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/dna/training_table.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using ::testing::ContainsRegex;
using testing::message_of;

class TableFile : public ::testing::Test {
 protected:
  std::string write(const std::string& text) {
    const std::string path = folder_ / "table.tsv";
    testing::put_bytes(path, text);
    return path;
  }

 private:
  testing::TemporaryFolder folder_;
};

TEST_F(TableFile, SortsLabelsSoThatRowOrderDoesNotMatter) {
  const TableDataset words = read_table_dataset(write("label\tsequence\nyeast\tACGT\necoli\tGGNN\nyeast\tTTTT\n"));
  EXPECT_EQ(words.class_names, (std::vector<std::string>{"ecoli", "yeast"}));
  EXPECT_EQ(words.rows[0].label, 1);
  EXPECT_FALSE(words.has_split);

  const TableDataset numbers = read_table_dataset(write("sequence,label\nA,10\nA,9\nA,0\n"));
  EXPECT_EQ(numbers.class_names, (std::vector<std::string>{"0", "9", "10"}));
}

TEST_F(TableFile, ReadsTheSplitUnderItsUsualNames) {
  const TableDataset table = read_table_dataset(
      write("sequence\tlabel\tsplit\nA\tx\ttrain\nC\ty\tTrain\nG\tx\tdev\nT\ty\tvalid\nA\ty\ttest\n"));

  EXPECT_EQ(table.rows_of(Split::train), (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(table.rows_of(Split::validation), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(table.rows_of(Split::test), (std::vector<std::int64_t>{4}));
}

TEST_F(TableFile, NamesThePlaceOfWhatIsWrong) {
  const auto message = [&](const std::string& text) {
    return message_of<DataError>([&] { read_table_dataset(write(text)); });
  };

  EXPECT_THAT(message("sequence\tclass\nA\tx\n"), ContainsRegex("label"));
  EXPECT_THAT(message("sequence\tlabel\nA\tx\nA\tx\n"), ContainsRegex("every row has the label 'x'"));
  EXPECT_THAT(message("sequence\tlabel\nA\tx\nAZ\ty\n"), ContainsRegex("line 3.*letter 2 .*'Z'"));
  EXPECT_THAT(message("sequence\tlabel\nA\tx\n\ty\n"), ContainsRegex("line 3.*empty"));
  EXPECT_THAT(message("sequence\tlabel\tsplit\nA\tx\ttrain\nA\ty\tlater\n"), ContainsRegex("line 3.*'later'"));
  EXPECT_THAT(message("sequence\tlabel\tsplit\nA\tx\ttrain\nA\ty\ttest\n"),
              ContainsRegex("'y' has no row to train on"));
  EXPECT_THAT(message("sequence\tlabel\n"), ContainsRegex("no rows"));
}

TEST_F(TableFile, HoldsOutAShareOfEveryClass) {
  std::string text = "sequence\tlabel\n";
  for (int row = 0; row < 100; ++row) text += row < 80 ? "ACGT\tcommon\n" : "ACGT\trare\n";
  TableDataset table = read_table_dataset(write(text));

  hold_out_rows(table, 0.1, 4);

  const auto held = table.rows_of(Split::validation);
  EXPECT_EQ(std::ranges::count_if(
                held, [&](std::int64_t row) { return table.rows[static_cast<std::size_t>(row)].label == 0; }),
            8);
  EXPECT_EQ(std::ranges::count_if(
                held, [&](std::int64_t row) { return table.rows[static_cast<std::size_t>(row)].label == 1; }),
            2);
}

TEST_F(TableFile, GivesEveryRowOncePerEpochInAnotherOrder) {
  std::string text = "sequence\tlabel\n";
  for (int length = 1; length <= 50; ++length)
    text += std::string(static_cast<std::size_t>(length), 'A') + (length % 2 == 0 ? "\tx\n" : "\ty\n");
  const TableDataset table = read_table_dataset(write(text));
  const RowSampler sampler(table, table.rows_of(Split::train), {0, false, 3});

  std::vector<std::size_t> first;
  std::vector<std::size_t> second;
  std::vector<std::int32_t> ids;
  for (std::int64_t index = 0; index < 100; ++index) {
    const std::int32_t label = sampler.example(index, ids);
    EXPECT_EQ(label, ids.size() % 2 == 0 ? 0 : 1);
    (index < 50 ? first : second).push_back(ids.size());
  }

  EXPECT_EQ(std::set<std::size_t>(first.begin(), first.end()).size(), 50U);
  EXPECT_EQ(std::set<std::size_t>(second.begin(), second.end()).size(), 50U);
  EXPECT_NE(first, second);
}

TEST_F(TableFile, CutsLongRowsAtARandomPlaceInTrainingAndInTheMiddleOtherwise) {
  const TableDataset table = read_table_dataset(write("sequence\tlabel\nAACCGGTT\tx\nAACCGGTT\ty\n"));
  const RowList list(table, {0}, {4, true, 1});
  const RowSampler sampler(table, {0}, {4, false, 1});
  std::vector<std::int32_t> ids;

  list.example(0, ids);
  std::vector<std::int32_t> middle(4);
  dna::tokenize("CCGG", middle.data());
  EXPECT_EQ(ids, middle);

  std::set<std::vector<std::int32_t>> parts;
  for (std::int64_t index = 0; index < 100; ++index) {
    sampler.example(index, ids);
    EXPECT_EQ(ids.size(), 4U);
    parts.insert(ids);
  }
  EXPECT_EQ(parts.size(), 5U);
}

TEST_F(TableFile, JudgesWithTestRowsWhenThereAreSome) {
  const std::string rows = "ACGT\tx\ttrain\nACGTA\ty\ttrain\nAC\tx\tvalid\n";
  const auto without = load_table({.path = write("sequence\tlabel\tsplit\n" + rows)});
  const auto with = load_table({.path = write("sequence\tlabel\tsplit\n" + rows + "A\tx\ttest\nC\ty\ttest\n")});

  EXPECT_EQ(without->held_out(0)->size(), 1);
  EXPECT_EQ(with->held_out(0)->size(), 2);
  EXPECT_EQ(with->validation().size(), 1);
  EXPECT_EQ(with->longest_training_example(), 5);
  EXPECT_DOUBLE_EQ(with->mean_tokens(), 4.5);
}

}  // namespace
}  // namespace strandline
