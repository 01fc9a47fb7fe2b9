// Letters of DNA and their token ids. What N means is said here only.
#pragma once

#include <cstdint>
#include <string_view>

namespace strandline::dna {

// The character vocabulary of HyenaDNA and Caduceus: 12 ids padded to 16, so that their weights line up with ours.
inline constexpr std::int32_t kCls = 0;
inline constexpr std::int32_t kSep = 1;
inline constexpr std::int32_t kBos = 2;
inline constexpr std::int32_t kMask = 3;
inline constexpr std::int32_t kPad = 4;
inline constexpr std::int32_t kReserved = 5;
inline constexpr std::int32_t kUnknown = 6;
inline constexpr std::int32_t kA = 7;
inline constexpr std::int32_t kC = 8;
inline constexpr std::int32_t kG = 9;
inline constexpr std::int32_t kT = 10;
inline constexpr std::int32_t kN = 11;
inline constexpr std::int32_t kVocabSize = 16;

/// A, C, G, T (U reads as T) in either case; N and every other IUPAC code is N; anything else is kUnknown.
std::int32_t token_of(char letter);
/// True for the letters that token_of knows, gaps ('-', '.', '*') excluded.
bool is_nucleotide(char letter);
/// A <-> T, C <-> G; every other id is its own complement.
std::int32_t complement(std::int32_t id);
/// Complement of a letter, IUPAC codes included, case kept; anything else stays.
char complement(char letter);

/// Writes one id per letter to `ids`, which has room for letters.size().
void tokenize(std::string_view letters, std::int32_t* ids);
/// Reverse complement in place.
void reverse_complement(std::int32_t* begin, std::int32_t* end);
void reverse_complement(char* begin, char* end);

}  // namespace strandline::dna
