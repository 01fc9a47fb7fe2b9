// Which bytes the scanners take for sequence. Private to io.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "core/vocab/dna.hpp"

namespace strandline {

using LetterTable = std::array<bool, 256>;

/// True for IUPAC nucleotide codes in either case, and for the bytes of `also`.
inline LetterTable make_letter_table(std::string_view also = {}) {
  LetterTable table{};
  for (int byte = 0; byte < 256; ++byte)
    table[static_cast<std::size_t>(byte)] = dna::is_nucleotide(static_cast<char>(byte));
  for (const char letter : also) table[static_cast<unsigned char>(letter)] = true;
  return table;
}

/// What to do about a byte that is no sequence.
inline std::string cure_for_letter(char byte) {
  if (byte == '-' || byte == '.' || byte == '*') {
    return "Gaps and stops are not read: remove them, or write N where a base is unknown";
  }
  if ((byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z')) {
    return "Only IUPAC nucleotide codes are read (A C G T U N R Y S W K M B D H V); is this protein?";
  }
  if (byte == '\r') return "Old Macintosh line ends are not read: convert them with tr '\\r' '\\n'";
  return "The file is damaged, or is no text file: check how it was made";
}

}  // namespace strandline
