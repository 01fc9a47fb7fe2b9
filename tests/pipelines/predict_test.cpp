#include "pipelines/run/predict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "pipelines/run/embed.hpp"
#include "pipelines/run/memory_plan.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/pipelines/tiny_model.hpp"

namespace strandline {
namespace {

using strandline::testing::bytes_of;
using strandline::testing::message_of;
using strandline::testing::put_bytes;
using strandline::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::vector<std::string>> rows_of(const std::string& table) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) rows.back().push_back(field);
  }
  return rows;
}

class Predict : public ::testing::Test {
 protected:
  Predict() : input_(folder_ / "reads.fa") { put_bytes(input_, testing::fasta_of(testing::tiny_records())); }

  PredictOptions options() const {
    PredictOptions options;
    options.encode.input = input_;
    options.encode.filter = {.min_length = 10, .max_n_fraction = 0.5};
    options.output = folder_ / "calls.tsv";
    return options;
  }

  std::string table(LoadedClassifier& model, const PredictOptions& options) {
    predict(model, options, {});
    return bytes_of(options.output);
  }
  std::string table(const PredictOptions& options, const ClassifierConfig& config = testing::tiny_config(),
                    int threads = 1) {
    const auto backend = make_cpu_backend({.threads = threads});
    LoadedClassifier model = testing::tiny_classifier(*backend, config);
    return table(model, options);
  }

  TemporaryFolder folder_;
  std::string input_;
};

TEST_F(Predict, WritesOneLinePerRecordInInputOrder) {
  const auto rows = rows_of(table(options()));
  const auto records = testing::tiny_records();
  ASSERT_EQ(rows.size(), records.size() + 1);
  EXPECT_THAT(rows[0], ::testing::ElementsAre("seq_id", "length", "label", "score", "p_ecoli", "p_yeast", "p_phage",
                                              "windows", "n_fraction", "note"));
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& row = rows[i + 1];
    ASSERT_EQ(row.size(), 10U) << records[i].first;
    EXPECT_EQ(row[0], records[i].first);
    EXPECT_EQ(row[1], std::to_string(records[i].second.size()));
  }
}

TEST_F(Predict, SaysWhyARecordHasNoLabel) {
  const auto rows = rows_of(table(options()));
  const auto note_of = [&](const std::string& name) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r[0] == name; });
    const bool without_label = (*row)[2] == "NA" && (*row)[3] == "NA" && (*row)[4] == "NA" && (*row)[7] == "0";
    EXPECT_EQ(without_label, (*row)[9] != ".") << name;
    return (*row)[8] + " " + (*row)[9];
  };
  EXPECT_EQ(note_of("empty"), "0.000000 empty");
  EXPECT_EQ(note_of("short"), "0.000000 shorter than 10");
  EXPECT_EQ(note_of("only_n"), "1.000000 no base but N");
  EXPECT_EQ(note_of("half_n"), "0.600000 n_fraction above 0.5");
  EXPECT_EQ(note_of("gap"), "0.470588 .");
}

TEST_F(Predict, GivesTheProbabilitiesOfItsWindowsWeightedByKnownBases) {
  const auto backend = make_cpu_backend({.threads = 1});
  LoadedClassifier model = testing::tiny_classifier(*backend);
  const auto rows = rows_of(table(model, options()));
  const auto row = std::find_if(rows.begin(), rows.end(), [](const auto& r) { return r[0] == "gap"; });
  // 200 bases, 400 N, 250 bases in windows of 100: the four of N are left out, the last window has 50 bases.
  EXPECT_EQ((*row)[7], "5");
  const std::string bases = testing::random_bases(200, 91) + std::string(400, 'N') + testing::random_bases(250, 92);
  std::vector<double> expected(3, 0.0);
  for (const std::size_t begin : {0, 100, 600, 700, 800}) {
    const std::string window = bases.substr(begin, 100);
    std::vector<std::int32_t> ids(window.size());
    dna::tokenize(window, ids.data());
    PackedBatch batch;
    batch.add(ids);
    std::vector<float> logits(3);
    std::vector<double> p(3);
    model.classifier->predict(batch, logits);
    class_probabilities(logits, p);
    for (std::size_t c = 0; c < 3; ++c) expected[c] += p[c] * static_cast<double>(window.size()) / 450.0;
  }
  for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(std::stod((*row)[4 + c]), expected[c], 1e-6);
  const auto best = static_cast<std::size_t>(std::max_element(expected.begin(), expected.end()) - expected.begin());
  EXPECT_EQ((*row)[2], model.metadata.class_names[best]);
  EXPECT_EQ((*row)[3], (*row)[4 + best]);
}

TEST_F(Predict, UsesTheTrainingWindowUnlessToldOtherwise) {
  PredictOptions chosen = options();
  const std::string expected = table(chosen);
  chosen.window = 100;
  EXPECT_EQ(table(chosen), expected);
  chosen.window = 64;
  EXPECT_NE(table(chosen), expected);
}

TEST_F(Predict, GivesTheSameBytesForAnyThreadsAndTokenBudget) {
  for (const std::int64_t window : {0, 100}) {
    for (const Direction direction : {Direction::causal, Direction::bidirectional}) {
      PredictOptions chosen = options();
      chosen.window = window;
      chosen.stride = window == 0 ? 0 : 37;
      const ClassifierConfig config = testing::tiny_config(direction);
      const std::string expected = table(chosen, config);
      for (const std::int64_t tokens : {1, 64, 777, 100000}) {
        chosen.encode.batch_tokens = tokens;
        EXPECT_EQ(table(chosen, config, tokens % 2 == 0 ? 2 : 1), expected) << tokens << " tokens, window " << window;
      }
    }
  }
}

TEST_F(Predict, GivesTheSameBytesForAnyPieceOfALongRecord) {
  PredictOptions chosen = options();
  chosen.window = 0;
  chosen.encode.batch_tokens = 100;
  const std::string expected = table(chosen);
  for (const std::int64_t piece : {16, 97, 1024}) {
    chosen.encode.read.piece_bases = piece;
    EXPECT_EQ(table(chosen), expected) << piece;
  }
}

TEST_F(Predict, GivesShardsThatConcatenateToTheWhole) {
  const std::string expected = table(options());
  for (const std::int64_t count : {2, 3, 50}) {
    std::string joined;
    for (std::int64_t index = 1; index <= count; ++index) {
      PredictOptions chosen = options();
      chosen.encode.shard = {index, count};
      joined += table(chosen);
    }
    EXPECT_EQ(joined, expected) << count << " shards";
  }
}

TEST_F(Predict, CopiesEveryLabelledRecordToTheFileOfItsClass) {
  PredictOptions chosen = options();
  chosen.classified_out = folder_ / "class_{label}.fa";
  const auto rows = rows_of(table(chosen));
  std::string expected[3];
  const auto records = testing::tiny_records();
  for (std::size_t i = 0; i < records.size(); ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      if (rows[i + 1][2] != testing::tiny_metadata().class_names[c]) continue;
      expected[c] += ">" + records[i].first + "\n";
      for (std::size_t at = 0; at < records[i].second.size(); at += 80) {
        expected[c] += records[i].second.substr(at, 80) + "\n";
      }
    }
  }
  int used = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(bytes_of(folder_ / ("class_" + testing::tiny_metadata().class_names[c] + ".fa")), expected[c]);
    used += expected[c].empty() ? 0 : 1;
  }
  EXPECT_GE(used, 2) << "the test's model gives one label only";
}

TEST_F(Predict, RefusesToCopyAlignmentsOfAFastaFile) {
  PredictOptions chosen = options();
  chosen.output_bam = folder_ / "out.bam";
  EXPECT_THAT(message_of<DataError>([&] { table(chosen); }), HasSubstr("is fasta, without alignment records"));
  EXPECT_EQ(folder_.entries(), 1U);
}

TEST_F(Predict, RefusesAModelWithoutAHead) {
  const auto backend = make_cpu_backend({.threads = 1});
  LoadedClassifier model = testing::tiny_classifier(*backend);
  model.metadata.class_names.clear();
  EXPECT_THAT(message_of<DataError>([&] { table(model, options()); }), HasSubstr("no classification head"));
}

TEST_F(Predict, RefusesAWholeRecordThatDoesNotFitAndSaysWhatToDo) {
  PredictOptions chosen = options();
  chosen.window = 0;
  const ClassifierConfig config = testing::tiny_config(Direction::bidirectional);
  const MemoryPlan plan(config, {});
  chosen.encode.memory_bytes = plan.bytes(4999);
  chosen.encode.batch_tokens = 512;
  EXPECT_THAT(message_of<MemoryError>([&] { table(chosen, config); }),
              HasSubstr("record 'long' of 5000 bases as one sequence needs"));
  EXPECT_EQ(folder_.entries(), 1U);
  // A causal encoder streams it.
  const MemoryPlan causal(testing::tiny_config(), {});
  chosen.encode.memory_bytes = causal.limited_bytes(causal.inference({.tokens = 512, .sequences = 512}));
  EXPECT_THAT(table(chosen), HasSubstr("long\t5000\t"));
}

TEST_F(Predict, RefusesABatchThatDoesNotFitBeforeAnyWork) {
  PredictOptions chosen = options();
  chosen.encode.memory_bytes = 1 << 20;
  EXPECT_THAT(message_of<MemoryError>([&] { table(chosen); }), StartsWith("a batch of 16384 bases needs"));
}

TEST_F(Predict, LeavesNothingBehindWhenAskedToStop) {
  const auto backend = make_cpu_backend({.threads = 1});
  LoadedClassifier model = testing::tiny_classifier(*backend);
  std::stop_source source;
  PredictOptions chosen = options();
  chosen.encode.batch_tokens = 64;
  RunControl control{source.get_token(), [&](const EncodeProgress& done) {
                       if (done.records > 5) source.request_stop();
                     }};
  EXPECT_THROW(predict(model, chosen, control), InterruptedError);
  EXPECT_EQ(folder_.entries(), 1U);
}

TEST_F(Predict, LeavesNothingBehindWhenTheInputBreaksOff) {
  put_bytes(input_, testing::fasta_of(testing::tiny_records()) + ">bad\nACGT!!\n");
  EXPECT_THROW(table(options()), DataError);
  EXPECT_EQ(folder_.entries(), 1U);
}

TEST_F(Predict, CountsWhatItDid) {
  const auto backend = make_cpu_backend({.threads = 1});
  LoadedClassifier model = testing::tiny_classifier(*backend);
  const PredictSummary summary = predict(model, options(), {});
  std::int64_t bases = 0;
  for (const auto& record : testing::tiny_records()) bases += std::ssize(record.second);
  EXPECT_EQ(summary.done.records, std::ssize(testing::tiny_records()));
  EXPECT_EQ(summary.done.bases, bases);
  EXPECT_EQ(summary.without_label, 4);
  EXPECT_EQ(summary.per_class[0] + summary.per_class[1] + summary.per_class[2], summary.done.records - 4);
  EXPECT_EQ(summary.windows.window, 100);
}

TEST_F(Predict, EmbedsAWholeRecordWithTheSameBitsForAnyBudget) {
  const auto backend = make_cpu_backend({.threads = 1});
  EmbedOptions chosen;
  chosen.encode.input = input_;
  chosen.output = folder_ / "out.npy";
  for (const Direction direction : {Direction::causal, Direction::bidirectional}) {
    LoadedClassifier model = testing::tiny_classifier(*backend, testing::tiny_config(direction));
    chosen.encode.batch_tokens = 1 << 20;
    EXPECT_EQ(embed(model, chosen, {}).without_embedding, 2);  // empty, only N
    const std::string expected = bytes_of(chosen.output);
    EXPECT_GT(expected.size(), testing::tiny_records().size() * 16 * sizeof(float));
    chosen.encode.batch_tokens = 50;
    embed(model, chosen, {});
    EXPECT_EQ(bytes_of(chosen.output), expected);
  }
}

}  // namespace
}  // namespace strandline
