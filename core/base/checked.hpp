// Sizes that must not wrap. Every product or narrowing of a size that comes from outside goes through here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {

/// @throws ContractError when a * b does not fit in int64 or a factor is negative.
inline std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) {
    throw ContractError("size " + std::to_string(a) + " x " + std::to_string(b) + " does not fit in 63 bits");
  }
  return product;
}

/// @throws ContractError when `value` does not fit in To.
template <class To, class From>
To checked_cast(From value) {
  if (!std::in_range<To>(value)) throw ContractError("size " + std::to_string(value) + " does not fit its type");
  return static_cast<To>(value);
}

/// Smallest multiple of `step` that is not below `value`; step > 0.
constexpr std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

constexpr std::int64_t ceil_div(std::int64_t value, std::int64_t step) { return (value + step - 1) / step; }

}  // namespace strandline
