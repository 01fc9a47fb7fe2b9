#include "pipelines/dna/shard.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/base/error.hpp"

namespace strandline {
namespace {

bool parse_number(std::string_view text, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Shard parse_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  Shard shard;
  const bool numbers = slash != std::string::npos &&
                       parse_number(std::string_view(text).substr(0, slash), shard.index) &&
                       parse_number(std::string_view(text).substr(slash + 1), shard.count);
  if (!numbers || shard.index < 1 || shard.index > shard.count || shard.count > 1'000'000) {
    throw ContractError("'" + text + "' is not a shard; expected i/n with 1 <= i <= n, for example 2/8");
  }
  return shard;
}

std::int64_t shard_of(std::int64_t first_base, std::int64_t total_bases, std::int64_t count) {
  if (total_bases == 0) return 1;
  // 128 bits: the product of a genome's length and a number of shards need not fit in 64.
  __extension__ using Wide = __int128;
  const Wide part = static_cast<Wide>(first_base) * count / total_bases;
  // Empty records after the last base begin at total_bases.
  return std::min(static_cast<std::int64_t>(part) + 1, count);
}

std::int64_t count_bases(const std::string& path, const ReadOptions& options, const std::stop_token& stop) {
  if (path == "-") {
    throw ContractError("standard input cannot be read twice, as --shard needs. Write it to a file first");
  }
  ReadOptions counting = options;
  counting.keep_alignments = false;
  const auto stream = open_sequences(path, counting);
  SequencePiece piece;
  std::int64_t bases = 0;
  while (stream->next(piece)) {
    if (stop.stop_requested()) throw InterruptedError("interrupted while counting the bases of " + path);
    bases += static_cast<std::int64_t>(piece.bases.size());
  }
  return bases;
}

}  // namespace strandline
