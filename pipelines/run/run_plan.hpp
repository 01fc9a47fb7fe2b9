// How a run will use the memory there is: segments, what is kept, and a refusal before any work when it cannot be.
#pragma once

#include <cstdint>
#include <string>

#include "core/backend.hpp"
#include "core/model/config.hpp"
#include "core/model/encoder.hpp"
#include "pipelines/run/memory_plan.hpp"

namespace strandline {

struct RunPlanRequest {
  BatchShape inference{};           ///< the largest pack; no tokens: none
  BatchShape training{};            ///< the same
  std::int64_t segment_tokens = 0;  ///< 0: chosen
  std::int64_t memory_bytes = 0;    ///< what the run may take; 0: what is free
  const char* cure = "Use a smaller --segment";
};

struct RunPlan {
  EncoderOptions encoder;
  MemoryUse use;
  std::int64_t limited_bytes = 0;  ///< of `use`, what is held against have_bytes
  std::int64_t have_bytes = 0;     ///< on the card, or of the host when there is none
  std::string device{};
  bool on_card = false;
  bool is_training = false;
  bool keeps_blocks = false;  ///< training: the inside of the blocks is kept where it fits, not computed again
};

/// What a run on `backend` may take: of `memory_bytes` and of what is free; 0 bytes: of what is free.
std::int64_t have_bytes(const Backend& backend, std::int64_t memory_bytes);

/// Segments as asked for. Else 16384 tokens on the CPU; on a card 131072 and everything kept in training, then less
/// until it fits. @throws MemoryError with need, have and cure, before anything was taken.
RunPlan plan_run(const ClassifierConfig& config, const Backend& backend, const RunPlanRequest& request);

/// Takes the workspace and the scratch of the plan at once, so that the run holds what was announced.
void reserve(const RunPlan& plan, Encoder& encoder);

/// "memory: 1.2 GiB of 138 GiB on cuda:0, 740 MiB on the host; segments of 131072 tokens"
std::string describe(const RunPlan& plan);

}  // namespace strandline
