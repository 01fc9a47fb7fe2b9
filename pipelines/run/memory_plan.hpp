// What an inference run will take in memory, known before it starts.
#pragma once

#include <cstdint>
#include <string>

#include "core/model/config.hpp"
#include "core/model/encoder.hpp"

namespace strandline {

/// Bytes for a batch of T tokens: fixed + segment * min(T, segment tokens) + per token * T. An upper bound, held by a
/// test against what the process took.
struct MemoryPlan {
  std::int64_t fixed_bytes = 0;              ///< weights, and the program itself
  std::int64_t bytes_per_segment_token = 0;  ///< inside of one block
  std::int64_t segment_tokens = 0;
  std::int64_t bytes_per_token = 0;  ///< residual stream, its reversed copy, tokens in the queues

  std::int64_t bytes(std::int64_t tokens) const;
  /// Longest batch that fits in `limit_bytes`; 0 when none does.
  std::int64_t max_tokens(std::int64_t limit_bytes) const;
};

MemoryPlan plan_inference(const ClassifierConfig& config, const EncoderOptions& options);

/// "3.2 GiB", "17 MiB", "512 bytes"
std::string format_bytes(std::int64_t bytes);

}  // namespace strandline
