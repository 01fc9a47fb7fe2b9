#include "io/images/resize.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace strandline {
namespace {

// What one output position takes from the input: `weights` for input positions begin, begin + 1, ...; their sum is 1.
struct Tap {
  std::int64_t begin = 0;
  std::vector<float> weights{};
};

Tap area_tap(std::int64_t position, double scale, std::int64_t from) {
  const double left = static_cast<double>(position) * scale;
  const double right = std::min(left + scale, static_cast<double>(from));
  Tap tap{.begin = static_cast<std::int64_t>(left)};
  for (std::int64_t x = tap.begin; x < from && static_cast<double>(x) < right; ++x) {
    const double covered = std::min(right, static_cast<double>(x + 1)) - std::max(left, static_cast<double>(x));
    tap.weights.push_back(static_cast<float>(covered / (right - left)));
  }
  return tap;
}

Tap linear_tap(std::int64_t position, double scale, std::int64_t from) {
  const double centre = (static_cast<double>(position) + 0.5) * scale - 0.5;
  const double clamped = std::clamp(centre, 0.0, static_cast<double>(from - 1));
  Tap tap{.begin = static_cast<std::int64_t>(clamped)};
  const auto share = static_cast<float>(clamped - static_cast<double>(tap.begin));
  tap.weights = {1.0F - share};
  if (share > 0.0F) tap.weights.push_back(share);
  return tap;
}

std::vector<Tap> taps(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  std::vector<Tap> all;
  all.reserve(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i)
    all.push_back(to <= from ? area_tap(i, scale, from) : linear_tap(i, scale, from));
  return all;
}

// One row of the output before its columns are made: the weighted sum of input rows.
void sum_rows(const RgbImage& image, const Tap& tap, std::vector<float>& sum) {
  std::fill(sum.begin(), sum.end(), 0.0F);
  for (std::size_t k = 0; k < tap.weights.size(); ++k) {
    const std::uint8_t* row = image.at(0, tap.begin + static_cast<std::int64_t>(k));
    const float weight = tap.weights[k];
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weight * static_cast<float>(row[i]);
  }
}

std::uint8_t rounded(float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F)); }

void sum_columns(const std::vector<float>& sum, const std::vector<Tap>& columns, std::uint8_t* out) {
  for (const Tap& tap : columns) {
    float value[3] = {0.0F, 0.0F, 0.0F};
    const float* pixel = sum.data() + tap.begin * 3;
    for (const float weight : tap.weights) {
      for (int c = 0; c < 3; ++c) value[c] += weight * *pixel++;
    }
    for (const float channel : value) *out++ = rounded(channel);
  }
}

}  // namespace

RgbImage resized(const RgbImage& image, ImageSize size) {
  if (std::min({size.width, size.height, image.width, image.height}) <= 0) {
    throw ContractError("resized: from " + std::to_string(image.width) + " x " + std::to_string(image.height) + " to " +
                        std::to_string(size.width) + " x " + std::to_string(size.height) + ", expected positive sizes");
  }
  if (size.width == image.width && size.height == image.height) return image;
  const std::vector<Tap> columns = taps(image.width, size.width);
  const std::vector<Tap> rows = taps(image.height, size.height);
  RgbImage out(size.width, size.height);
  std::vector<float> sum(static_cast<std::size_t>(image.width) * 3);
  for (std::int64_t y = 0; y < size.height; ++y) {
    sum_rows(image, rows[static_cast<std::size_t>(y)], sum);
    sum_columns(sum, columns, out.at(0, y));
  }
  return out;
}

void crop(const RgbImage& image, const ImageBox& box, RgbImage& out) {
  const bool inside = box.x >= 0 && box.y >= 0 && box.width >= 0 && box.height >= 0 &&
                      box.x + box.width <= image.width && box.y + box.height <= image.height;
  if (!inside) throw ContractError("crop: the box does not lie inside the image");
  out.reset(box.width, box.height);
  for (std::int64_t y = 0; y < box.height; ++y) {
    std::copy_n(image.at(box.x, box.y + y), box.width * 3, out.pixels.data() + y * box.width * 3);
  }
}

}  // namespace strandline
