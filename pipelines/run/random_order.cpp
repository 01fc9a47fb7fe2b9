#include "pipelines/run/random_order.hpp"

#include <bit>
#include <string>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"

namespace strandline {
namespace {

constexpr std::uint64_t kSeedDomain = 0x7374726e646c696eU;  // keeps derived seeds apart from ordinary draws
constexpr std::uint64_t kFeistelRounds = 6;

}  // namespace

std::uint64_t seed_for(std::uint64_t run_seed, RandomUse use) {
  const auto draw = philox(run_seed, kSeedDomain, static_cast<std::uint64_t>(use));
  return (std::uint64_t{draw[0]} << 32U) | draw[1];
}

std::int64_t permuted(std::uint64_t seed, std::int64_t epoch, std::int64_t size, std::int64_t position) {
  if (position < 0 || position >= size || epoch < 0) {
    throw ContractError("permuted: position " + std::to_string(position) + " is not in [0, " + std::to_string(size) +
                        ")");
  }
  const int half_bits = (static_cast<int>(std::bit_width(static_cast<std::uint64_t>(size - 1))) + 1) / 2;
  if (half_bits == 0) return 0;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  auto value = static_cast<std::uint64_t>(position);
  do {
    std::uint64_t left = value >> half_bits;
    std::uint64_t right = value & mask;
    for (std::uint64_t round = 0; round < kFeistelRounds; ++round) {
      const auto draw = philox(seed, static_cast<std::uint64_t>(epoch) * kFeistelRounds + round, right);
      const std::uint64_t mixed = left ^ (((std::uint64_t{draw[0]} << 32U) | draw[1]) & mask);
      left = right;
      right = mixed;
    }
    value = (left << half_bits) | right;
  } while (value >= static_cast<std::uint64_t>(size));
  return static_cast<std::int64_t>(value);
}

}  // namespace strandline
