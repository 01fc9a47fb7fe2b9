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
constexpr int kHighestQuality = 93;                            // '~'

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
  for (std::size_t i = 0; i < length; ++i) {
    qualities[i] = static_cast<char>(std::min<int>(values[i], kHighestQuality) + 33);
  }
  if (bam_is_rev(&record)) std::reverse(qualities.begin(), qualities.end());
}

}  // namespace strandline
