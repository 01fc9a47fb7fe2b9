#include "core/vocab/dna.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace strandline::dna {
namespace {

template <class T>
using LetterTable = std::array<T, 256>;

constexpr std::size_t index_of(char letter) { return static_cast<unsigned char>(letter); }
constexpr char lower(char letter) { return static_cast<char>(letter - 'A' + 'a'); }

constexpr LetterTable<std::int32_t> make_tokens() {
  LetterTable<std::int32_t> tokens{};
  for (auto& token : tokens) token = kUnknown;
  const auto set = [&](char letter, std::int32_t token) {
    tokens[index_of(letter)] = token;
    tokens[index_of(lower(letter))] = token;
  };
  for (const char ambiguous : std::string_view("NRYSWKMBDHV")) set(ambiguous, kN);
  set('A', kA);
  set('C', kC);
  set('G', kG);
  set('T', kT);
  set('U', kT);
  return tokens;
}

// NC-IUB 1984, table 1: the complement of a set of bases is the set of their complements.
constexpr LetterTable<char> make_complements() {
  LetterTable<char> complements{};
  for (std::size_t i = 0; i < complements.size(); ++i) complements[i] = static_cast<char>(i);
  const auto pair = [&](char a, char b) {
    complements[index_of(a)] = b;
    complements[index_of(b)] = a;
    complements[index_of(lower(a))] = lower(b);
    complements[index_of(lower(b))] = lower(a);
  };
  complements[index_of('U')] = 'A';
  complements[index_of('u')] = 'a';
  pair('A', 'T');
  pair('C', 'G');
  pair('R', 'Y');
  pair('K', 'M');
  pair('B', 'V');
  pair('D', 'H');
  return complements;
}

constexpr LetterTable<std::int32_t> kTokens = make_tokens();
constexpr LetterTable<char> kComplements = make_complements();

template <class T>
void reverse_complement_range(T* begin, T* end) {
  std::reverse(begin, end);
  std::transform(begin, end, begin, [](T value) { return complement(value); });
}

}  // namespace

std::int32_t token_of(char letter) { return kTokens[index_of(letter)]; }

bool is_nucleotide(char letter) { return token_of(letter) != kUnknown; }

std::int32_t complement(std::int32_t id) {
  // A, C, G, T are neighbours, so complements mirror around the middle of their ids.
  return id >= kA && id <= kT ? kA + kT - id : id;
}

char complement(char letter) { return kComplements[index_of(letter)]; }

void tokenize(std::string_view letters, std::int32_t* ids) {
  std::transform(letters.begin(), letters.end(), ids, token_of);
}

void reverse_complement(std::int32_t* begin, std::int32_t* end) { reverse_complement_range(begin, end); }

void reverse_complement(char* begin, char* end) { reverse_complement_range(begin, end); }

}  // namespace strandline::dna
