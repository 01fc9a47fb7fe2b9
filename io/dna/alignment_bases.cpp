#include "io/dna/alignment_bases.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace strandline {
namespace {

constexpr std::string_view kLetters = "=ACMGRSVTWYHKDBN";      // the order of the SAM specification
constexpr std::string_view kComplements = "=TGKCYSBAWRDMHVN";  // of the letter at the same place
constexpr std::uint8_t kHighestQuality = 93;                   // '~'
constexpr std::uint8_t kQualityOffset = 33;                    // '!'

using PairTable = std::array<std::array<char, 2>, 256>;

// The high half of a byte is the earlier base.
constexpr PairTable make_forward_table() {
  PairTable table{};
  for (std::size_t byte = 0; byte < 256; ++byte) table[byte] = {kLetters[byte >> 4], kLetters[byte & 15]};
  return table;
}

constexpr PairTable make_reverse_table() {
  PairTable table{};
  for (std::size_t byte = 0; byte < 256; ++byte) table[byte] = {kComplements[byte & 15], kComplements[byte >> 4]};
  return table;
}

constexpr PairTable kForward = make_forward_table();
constexpr PairTable kReverse = make_reverse_table();

void decode_forward(const std::uint8_t* packed, std::size_t length, char* out) {
  for (std::size_t pair = 0; pair < length / 2; ++pair) std::memcpy(out + 2 * pair, kForward[packed[pair]].data(), 2);
  if (length % 2 != 0) out[length - 1] = kForward[packed[length / 2]][0];
}

void decode_reverse(const std::uint8_t* packed, std::size_t length, char* out) {
  for (std::size_t pair = 0; pair < length / 2; ++pair) {
    std::memcpy(out + length - 2 * pair - 2, kReverse[packed[pair]].data(), 2);
  }
  if (length % 2 != 0) out[0] = kReverse[packed[length / 2]][1];
}

// In bytes throughout, so that the compiler makes vectors of it.
void quality_text(const std::uint8_t* values, std::size_t length, char* out) {
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint8_t value = values[i] < kHighestQuality ? values[i] : kHighestQuality;
    out[i] = static_cast<char>(static_cast<std::uint8_t>(value + kQualityOffset));
  }
}

// Eight bytes at a time: std::reverse goes byte by byte, which took three times as long as decoding the bases.
void quality_text_reversed(const std::uint8_t* values, std::size_t length, char* out) {
  constexpr std::size_t kBlock = 8;
  std::array<char, kBlock> text{};
  std::size_t done = 0;
  for (; done + kBlock <= length; done += kBlock) {
    quality_text(values + done, kBlock, text.data());
    std::reverse_copy(text.begin(), text.end(), out + length - done - kBlock);
  }
  for (; done < length; ++done) quality_text(values + done, 1, out + length - done - 1);
}

}  // namespace

void decode_bases(const bam1_t& record, std::string& bases) {
  const auto length = static_cast<std::size_t>(std::max(record.core.l_qseq, 0));
  bases.resize(length);
  const std::uint8_t* packed = bam_get_seq(&record);
  if (bam_is_rev(&record)) {
    decode_reverse(packed, length, bases.data());
  } else {
    decode_forward(packed, length, bases.data());
  }
}

void decode_qualities(const bam1_t& record, std::string& qualities) {
  const auto length = static_cast<std::size_t>(std::max(record.core.l_qseq, 0));
  const std::uint8_t* values = bam_get_qual(&record);
  if (length == 0 || values[0] == 0xff) {  // 0xff: not stored
    qualities.clear();
    return;
  }
  qualities.resize(length);
  char* out = qualities.data();
  if (bam_is_rev(&record)) {
    quality_text_reversed(values, length, out);
  } else {
    quality_text(values, length, out);
  }
}

}  // namespace strandline
