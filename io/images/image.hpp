// Pixels in memory: eight bits a channel, channels interleaved, rows from the top, no gap between rows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace strandline {

using Rgb = std::array<std::uint8_t, 3>;

inline constexpr Rgb kWhite{255, 255, 255};

/// `pixels` has width * height * kChannels bytes.
template <int kChannels>
struct Image {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> pixels;

  Image() = default;
  /// All bytes `value`.
  Image(std::int64_t new_width, std::int64_t new_height, std::uint8_t value = 0) {
    reset(new_width, new_height, value);
  }

  /// Memory is kept.
  void reset(std::int64_t new_width, std::int64_t new_height, std::uint8_t value = 0) {
    width = new_width;
    height = new_height;
    pixels.assign(static_cast<std::size_t>(width * height) * kChannels, value);
  }

  std::uint8_t* at(std::int64_t x, std::int64_t y) {
    return pixels.data() + static_cast<std::size_t>(y * width + x) * kChannels;
  }
  const std::uint8_t* at(std::int64_t x, std::int64_t y) const {
    return pixels.data() + static_cast<std::size_t>(y * width + x) * kChannels;
  }
};

using RgbImage = Image<3>;
using GrayImage = Image<1>;

}  // namespace strandline
