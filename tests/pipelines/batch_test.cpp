#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "pipelines/batch/packer.hpp"
#include "pipelines/batch/unpacker.hpp"
#include "pipelines/batch/weighted_mean.hpp"

namespace strandline {
namespace {

using testing::ElementsAre;

struct Input {
  std::string name;
  std::vector<std::int64_t> lengths;  // of its sequences
};

// A sequence's row is its length: what comes out of the unpacker can be computed by hand.
std::vector<EncodedBatch<std::string>> pack(const std::vector<Input>& inputs, const PackLimits& limits) {
  Packer<std::string> packer(limits);
  std::vector<RecordBatch<std::string>> batches;
  for (const Input& input : inputs) {
    for (const std::int64_t length : input.lengths) {
      if (!packer.fits(length)) batches.push_back(packer.take());
      packer.add_sequence(std::vector<std::int32_t>(static_cast<std::size_t>(length), 7), length);
    }
    packer.end_record(input.name);
    if (packer.is_full()) batches.push_back(packer.take());
  }
  if (!packer.empty()) batches.push_back(packer.take());
  std::vector<EncodedBatch<std::string>> encoded;
  for (auto& batch : batches) {
    std::vector<double> rows;
    const auto offsets = batch.packed.seq_begin();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
      rows.push_back(static_cast<double>(offsets[i + 1] - offsets[i]));
    encoded.push_back({std::move(batch), std::move(rows)});
  }
  return encoded;
}

std::vector<std::string> unpack(std::vector<EncodedBatch<std::string>> encoded) {
  Unpacker<std::string> unpacker(1);
  std::vector<std::string> lines;
  for (auto& batch : encoded) {
    unpacker.add(std::move(batch), [&](const std::string& name, WeightedMean& mean) {
      lines.push_back(name + " " + std::to_string(mean.rows()) + " " +
                      (mean.rows() > 0 ? std::to_string(mean.mean()[0]) : "NA"));
    });
  }
  return lines;
}

const std::vector<Input> kInputs{{"a", {3}},   {"none", {}},       {"b", {10, 10, 4}},
                                 {"c", {100}}, {"none again", {}}, {"d", {1, 2}}};

TEST(Packer, KeepsToTheBudgetOfTokens) {
  for (const auto& encoded : pack(kInputs, {.tokens = 12, .records = 100})) {
    const bool alone = encoded.batch.packed.sequences() == 1;
    EXPECT_TRUE(alone || encoded.batch.packed.tokens() <= 12) << encoded.batch.packed.tokens();
  }
}

TEST(Packer, KeepsToTheLimitOfRecords) {
  for (const auto& encoded : pack(kInputs, {.tokens = 1000, .records = 2})) EXPECT_LE(encoded.batch.ends.size(), 2U);
}

TEST(Unpacker, GivesTheSameRecordsForAnyBudget) {
  const auto expected = unpack(pack(kInputs, {.tokens = 1 << 20, .records = 100}));
  // (10 * 10 + 10 * 10 + 4 * 4) / 24 and (1 + 4) / 3.
  EXPECT_THAT(expected, ElementsAre("a 1 3.000000", "none 0 NA", "b 3 9.000000", "c 1 100.000000", "none again 0 NA",
                                    "d 2 1.666667"));
  for (const std::int64_t tokens : {1, 4, 10, 11, 24, 100, 101}) {
    for (const std::int64_t records : {1, 2, 3}) EXPECT_EQ(unpack(pack(kInputs, {tokens, records})), expected);
  }
}

TEST(Unpacker, GivesTheSameRecordsForAnyOrderOfBatches) {
  const auto expected = unpack(pack(kInputs, {.tokens = 10, .records = 2}));
  auto shuffled = pack(kInputs, {.tokens = 10, .records = 2});
  std::reverse(shuffled.begin(), shuffled.end());
  EXPECT_EQ(unpack(std::move(shuffled)), expected);
}

TEST(Unpacker, RefusesRowsThatDoNotFit) {
  auto encoded = pack(kInputs, {});
  encoded[0].rows.pop_back();
  EXPECT_THROW(unpack(std::move(encoded)), ContractError);
}

TEST(WeightedMean, RefusesWhatHasNoMean) {
  WeightedMean mean(2);
  const std::vector<double> row{1.0, 2.0};
  EXPECT_THROW(mean.mean(), ContractError);
  EXPECT_THROW(mean.add(row, 0), ContractError);
  EXPECT_THROW(mean.add(std::span(row).first(1), 1), ContractError);
}

}  // namespace
}  // namespace strandline
