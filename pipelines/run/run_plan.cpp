#include "pipelines/run/run_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/base/error.hpp"
#include "io/bytes/system_memory.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kCardSegment = 131072;
constexpr std::int64_t kSmallestSegment = 2048;
// Of a card, left to its driver: code is loaded with the first call of a kernel, and libraries take a little.
constexpr std::int64_t kCardReserve = std::int64_t{512} << 20;
constexpr std::int64_t kCopyShare = 4;
constexpr std::int64_t kKeepAll = std::numeric_limits<std::int64_t>::max() / 2;

// From fast to small.
std::vector<EncoderOptions> choices(const RunPlanRequest& request, const RunPlan& plan) {
  EncoderOptions options;
  if (request.segment_tokens > 0) options.segment_tokens = request.segment_tokens;
  if (!plan.on_card) return {options};
  // A copy beside the residual stream of the same size, and the rest of a layer.
  const std::int64_t copy = plan.have_bytes / kCopyShare;
  const bool is_training = request.training.tokens > 0;
  std::vector<EncoderOptions> all;
  const std::int64_t longest = request.segment_tokens > 0 ? request.segment_tokens : kCardSegment;
  const std::int64_t shortest = request.segment_tokens > 0 ? request.segment_tokens : kSmallestSegment;
  if (is_training) all.push_back({.segment_tokens = longest, .keep_bytes = kKeepAll, .copy_bytes = copy});
  for (std::int64_t segment = longest; segment >= shortest; segment /= 2) {
    const std::int64_t keep = is_training ? 0 : options.keep_bytes;
    all.push_back({.segment_tokens = segment, .keep_bytes = keep, .copy_bytes = copy});
  }
  return all;
}

MemoryUse use_of(const MemoryPlan& plan, const RunPlanRequest& request) {
  MemoryUse use;
  if (request.inference.tokens > 0) use = larger(use, plan.inference(request.inference));
  if (request.training.tokens > 0) {
    const MemoryUse training = plan.training(request.training);
    const std::int64_t extra = training.device_bytes - training.workspace_bytes;  // gradients and moments stay
    const std::int64_t workspace = std::max(use.workspace_bytes, training.workspace_bytes);
    use = larger(use, training);
    use.device_bytes = std::max(use.device_bytes, extra + workspace);
  }
  return use;
}

[[noreturn]] void refuse(const RunPlan& plan, const RunPlanRequest& request) {
  const BatchShape& batch = plan.is_training ? request.training : request.inference;
  throw MemoryError(fmt::format("{} {} bases needs {}, but there is {}. {}, or give more with --memory",
                                plan.is_training ? "training on" : "a batch of", batch.tokens,
                                format_bytes(plan.limited_bytes), format_bytes(plan.have_bytes), request.cure));
}

}  // namespace

std::int64_t have_bytes(const Backend& backend, std::int64_t memory_bytes) {
  const auto card = backend.device_memory();
  if (!card) return memory_bytes > 0 ? memory_bytes : available_memory_bytes();
  const std::int64_t left = card->free_bytes;
  return memory_bytes > 0 ? std::min(memory_bytes, left) : std::max<std::int64_t>(left - kCardReserve, 0);
}

RunPlan plan_run(const ClassifierConfig& config, const Backend& backend, const RunPlanRequest& request) {
  RunPlan plan;
  plan.have_bytes = have_bytes(backend, request.memory_bytes);
  plan.device = backend.name();
  plan.on_card = backend.device_memory().has_value();
  plan.is_training = request.training.tokens > 0;
  for (const EncoderOptions& options : choices(request, plan)) {
    const MemoryPlan counted(config, options, plan_target(backend));
    plan.encoder = options;
    plan.use = use_of(counted, request);
    plan.limited_bytes = counted.limited_bytes(plan.use);
    plan.keeps_blocks = plan.is_training && options.keep_bytes > 0;
    if (plan.limited_bytes <= plan.have_bytes) break;
  }
  if (plan.limited_bytes > plan.have_bytes) refuse(plan, request);
  if (plan.on_card && plan.use.host_bytes > available_memory_bytes()) {
    throw MemoryError(fmt::format("beside {}, {} are needed in the memory of the host, but there is {}. {}",
                                  plan.device, format_bytes(plan.use.host_bytes),
                                  format_bytes(available_memory_bytes()), request.cure));
  }
  return plan;
}

void reserve(const RunPlan& plan, Encoder& encoder) {
  encoder.workspace().reserve(plan.use.workspace_bytes);
  encoder.backend().reserve_scratch(plan.use.scratch_bytes);
}

std::string describe(const RunPlan& plan) {
  std::string text = fmt::format("memory: {} of {} on {}", format_bytes(plan.limited_bytes),
                                 format_bytes(plan.have_bytes), plan.device);
  if (plan.on_card) text += fmt::format(", {} on the host", format_bytes(plan.use.host_bytes));
  text += fmt::format("; segments of {} tokens", plan.encoder.segment_tokens);
  if (plan.is_training) {
    text += plan.keeps_blocks ? ", blocks kept where they fit, else computed again in the backward"
                              : ", blocks computed again in the backward";
  }
  return text;
}

}  // namespace strandline
