// A file's records in n parts of about the same number of bases, whose results concatenate to those of the whole file.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "io/dna/sequence_stream.hpp"

namespace strandline {

/// Part `index` of `count`, from 1.
struct Shard {
  std::int64_t index = 1;
  std::int64_t count = 1;

  bool is_whole() const { return count == 1; }
};

/// "2/8". @throws ContractError saying what is expected.
Shard parse_shard(const std::string& text);

/// A record belongs to the part in which its first base lies, when the bases of all records, end to end, are cut in
/// `count` equal parts. Parts are runs of records in input order, and every record is in exactly one.
/// @param first_base bases of the records before it. @param total_bases of all records. Returns 1 to count.
std::int64_t shard_of(std::int64_t first_base, std::int64_t total_bases, std::int64_t count);

/// Bases of all records that pass the filters of `options`: one pass over the file, without keeping anything.
/// @throws ContractError for standard input, which cannot be read twice; InterruptedError; what open_sequences throws.
std::int64_t count_bases(const std::string& path, const ReadOptions& options, const std::stop_token& stop);

}  // namespace strandline
