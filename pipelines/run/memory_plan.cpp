#include "pipelines/run/memory_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/checked.hpp"
#include "core/model/weights.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kFloatBytes = 4;
// Batches that wait between reading and encoding (see encode_records.cpp), the one in work, and the record being read,
// whose vector may have twice the room it needs. Four bytes a token each, and the upload to the device.
constexpr std::int64_t kTokenBytes = 4 * 8;
constexpr std::int64_t kProgramBytes = std::int64_t{96} << 20;

}  // namespace

std::int64_t MemoryPlan::bytes(std::int64_t tokens) const {
  return fixed_bytes + checked_product(bytes_per_segment_token, std::min(tokens, segment_tokens)) +
         checked_product(bytes_per_token, tokens);
}

std::int64_t MemoryPlan::max_tokens(std::int64_t limit_bytes) const {
  const std::int64_t left = std::max<std::int64_t>(limit_bytes - fixed_bytes, 0);
  const std::int64_t within_segment = left / (bytes_per_token + bytes_per_segment_token);
  if (within_segment < segment_tokens) return within_segment;
  return (left - bytes_per_segment_token * segment_tokens) / bytes_per_token;
}

MemoryPlan plan_inference(const ClassifierConfig& config, const EncoderOptions& options) {
  const EncoderConfig& encoder = config.encoder;
  // One direction of a block at a time: its input, normed, projected, convolved, scanned, gated, projected back.
  const std::int64_t row =
      encoder.in_proj_rows() + encoder.conv_channels() + 2 * encoder.d_inner() + 3 * encoder.d_model;
  MemoryPlan plan;
  plan.fixed_bytes = kFloatBytes * WeightLayout(config).elements() + kProgramBytes;
  plan.bytes_per_segment_token = kFloatBytes * row;
  plan.segment_tokens = options.segment_tokens;
  // A bidirectional block needs a sequence that is longer than a segment twice: one direction still reads what the
  // other's output has replaced.
  plan.bytes_per_token = kFloatBytes * encoder.d_model * encoder.directions() + kTokenBytes;
  return plan;
}

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array kUnits{"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024.0 && unit + 1 < kUnits.size(); ++unit) value /= 1024.0;
  return fmt::format("{:.{}f} {}", value, value < 10.0 && unit > 0 ? 1 : 0, kUnits[unit]);
}

}  // namespace strandline
