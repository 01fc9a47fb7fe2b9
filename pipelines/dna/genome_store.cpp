#include "pipelines/dna/genome_store.hpp"

#include <algorithm>
#include <array>

#include "core/base/error.hpp"
#include "core/vocab/dna.hpp"
#include "io/dna/sequence_stream.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kBasesPerByte = 4;

// A, C, G, T have consecutive ids, so that two bits are the distance from A.
static_assert(dna::kC == dna::kA + 1 && dna::kG == dna::kA + 2 && dna::kT == dna::kA + 3);

bool is_known(std::int32_t id) { return id >= dna::kA && id <= dna::kT; }

// The four ids of every possible byte, so that copying a window costs one look-up per four bases.
using IdTable = std::array<std::array<std::int32_t, kBasesPerByte>, 256>;

constexpr IdTable make_id_table() {
  IdTable table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    for (std::size_t base = 0; base < kBasesPerByte; ++base) {
      table[byte][base] = dna::kA + static_cast<std::int32_t>((byte >> (2 * base)) & 3U);
    }
  }
  return table;
}

constexpr IdTable kIdTable = make_id_table();

}  // namespace

void GenomeStore::add_file(const std::string& path, std::int32_t class_id) {
  const auto stream = open_sequences(path);
  files_.push_back(path);
  SequencePiece piece;
  std::int64_t record = -1;
  while (stream->next(piece)) {
    if (piece.record != record) begin_contig(piece.name, class_id);
    record = piece.record;
    append(piece.bases, path);
  }
}

void GenomeStore::add_contig(const std::string& name, std::int32_t class_id, std::string_view letters) {
  if (files_.empty()) files_.emplace_back("memory");
  begin_contig(name, class_id);
  append(letters, files_.back());
}

void GenomeStore::begin_contig(const std::string& name, std::int32_t class_id) {
  contigs_.push_back({name, class_id, static_cast<std::int32_t>(files_.size()) - 1, 0});
  bases_.emplace_back();
}

void GenomeStore::append(std::string_view letters, const std::string& file) {
  Contig& contig = contigs_.back();
  Bases& bases = bases_.back();
  bases.packed.resize(static_cast<std::size_t>((contig.length + static_cast<std::int64_t>(letters.size()) + 3) / 4));
  for (const char letter : letters) {
    const std::int64_t position = contig.length++;
    const std::int32_t id = dna::token_of(letter);
    if (is_known(id)) {
      const auto code = static_cast<unsigned>(id - dna::kA);
      bases.packed[static_cast<std::size_t>(position / kBasesPerByte)] |=
          static_cast<std::uint8_t>(code << (2 * (position % kBasesPerByte)));
      continue;
    }
    if (!dna::is_nucleotide(letter)) {
      throw DataError({file, contig.name},
                      "base " + std::to_string(position + 1) + " is '" + letter + "', which is no nucleotide",
                      "Give DNA sequences; unknown bases are N");
    }
    if (!bases.unknown.empty() && bases.unknown.back().end == position) {
      ++bases.unknown.back().end;
    } else {
      const std::int64_t before =
          bases.unknown.empty() ? 0
                                : bases.unknown.back().before + bases.unknown.back().end - bases.unknown.back().begin;
      bases.unknown.push_back({position, position + 1, before});
    }
  }
}

std::size_t GenomeStore::first_run_ending_after(const Bases& bases, std::int64_t position) const {
  const auto found = std::ranges::upper_bound(bases.unknown, position, {}, &UnknownRun::end);
  return static_cast<std::size_t>(found - bases.unknown.begin());
}

std::int64_t GenomeStore::unknown_bases(std::int64_t contig, std::int64_t begin, std::int64_t end) const {
  const Bases& bases = bases_[static_cast<std::size_t>(contig)];
  // Unknown bases before a position: whole runs before it and the part of the run that holds it.
  const auto before = [&](std::int64_t position) -> std::int64_t {
    const std::size_t run = first_run_ending_after(bases, position);
    if (run == bases.unknown.size())
      return bases.unknown.empty()
                 ? 0
                 : bases.unknown.back().before + bases.unknown.back().end - bases.unknown.back().begin;
    return bases.unknown[run].before + std::max<std::int64_t>(0, position - bases.unknown[run].begin);
  };
  return before(end) - before(begin);
}

void GenomeStore::copy_ids(std::int64_t contig, std::int64_t begin, std::int64_t end, std::int32_t* ids) const {
  const Bases& bases = bases_[static_cast<std::size_t>(contig)];
  std::int64_t position = begin;
  while (position < end) {
    const auto& four = kIdTable[bases.packed[static_cast<std::size_t>(position / kBasesPerByte)]];
    const std::int64_t first = position % kBasesPerByte;
    const std::int64_t count = std::min(kBasesPerByte - first, end - position);
    std::copy_n(four.begin() + first, count, ids + (position - begin));
    position += count;
  }
  for (std::size_t run = first_run_ending_after(bases, begin);
       run < bases.unknown.size() && bases.unknown[run].begin < end; ++run) {
    const std::int64_t from = std::max(begin, bases.unknown[run].begin);
    const std::int64_t to = std::min(end, bases.unknown[run].end);
    std::fill(ids + (from - begin), ids + (to - begin), dna::kN);
  }
}

}  // namespace strandline
