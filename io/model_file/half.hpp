// IEEE half precision, which files have and our tensors do not.
#pragma once

#include <bit>
#include <cstdint>

namespace strandline {

/// Exact for every value, subnormal numbers, infinities and NaN included.
constexpr float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (bits >> 10U) & 0x1fU;
  const std::uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t rebased = exponent == 31 ? 255U : exponent + (127 - 15);
  return std::bit_cast<float>(sign | rebased << 23U | mantissa << 13U);
}

}  // namespace strandline
