#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <vector>

#include "core/vocab/dna.hpp"

namespace strandline::dna {
namespace {

TEST(Vocab, ReadsTheFourBasesInEitherCase) {
  const std::string letters = "ACGTUacgtu";
  std::vector<std::int32_t> ids(letters.size());
  tokenize(letters, ids.data());
  EXPECT_THAT(ids, ::testing::ElementsAre(kA, kC, kG, kT, kT, kA, kC, kG, kT, kT));
}

TEST(Vocab, ReadsEveryAmbiguityCodeAsN) {
  for (const char letter : std::string("NRYSWKMBDHVnryswkmbdhv")) {
    EXPECT_EQ(token_of(letter), kN) << letter;
    EXPECT_TRUE(is_nucleotide(letter)) << letter;
  }
}

TEST(Vocab, KnowsNoOtherByte) {
  const std::string known = "ACGTUNRYSWKMBDHV";
  for (int byte = 0; byte < 256; ++byte) {
    const char letter = static_cast<char>(byte);
    const bool expected = byte > 0 && known.find(static_cast<char>(std::toupper(static_cast<unsigned char>(letter)))) !=
                                          std::string::npos;
    EXPECT_EQ(is_nucleotide(letter), expected) << byte;
    EXPECT_EQ(token_of(letter) == kUnknown, !expected) << byte;
  }
}

TEST(Vocab, ComplementsIdsTwiceToThemselves) {
  EXPECT_EQ(complement(kA), kT);
  EXPECT_EQ(complement(kC), kG);
  for (std::int32_t id = 0; id < kVocabSize; ++id) EXPECT_EQ(complement(complement(id)), id);
  for (const std::int32_t id : {kCls, kSep, kBos, kMask, kPad, kReserved, kUnknown, kN}) EXPECT_EQ(complement(id), id);
}

TEST(Vocab, ComplementsLettersWithTheirCase) {
  std::string letters = "AaCcRrYyBbVvDdHhKkMmSsWwNn-";
  for (char& letter : letters) letter = complement(letter);
  EXPECT_EQ(letters, "TtGgYyRrVvBbHhDdMmKkSsWwNn-");
  EXPECT_EQ(complement('U'), 'A');
}

TEST(Vocab, ReversesTheComplement) {
  std::string letters = "AACGTn";
  reverse_complement(letters.data(), letters.data() + letters.size());
  EXPECT_EQ(letters, "nACGTT");
  std::vector<std::int32_t> ids{kA, kA, kC, kN};
  reverse_complement(ids.data(), ids.data() + ids.size());
  EXPECT_THAT(ids, ::testing::ElementsAre(kN, kG, kT, kT));
}

TEST(Vocab, AgreesBetweenLettersAndIds) {
  const std::string letters = "ACGTNRYKMBDHVSWacgtn";
  for (const char letter : letters) EXPECT_EQ(token_of(complement(letter)), complement(token_of(letter))) << letter;
}

}  // namespace
}  // namespace strandline::dna
