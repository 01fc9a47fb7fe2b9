#include "cuda/plans/conv1d_plan.hpp"

#include <algorithm>

#include "core/base/checked.hpp"

namespace strandline::cuda {
namespace {

constexpr std::int64_t kChannelsOfWarp = 128;

}  // namespace

// Every run reads K - 1 tokens of the run before once more: 2 % for K = 4 and 128 tokens. Shorter runs only where there
// would be too few warps to keep a card busy (132 multiprocessors of 32 warps and more).
Conv1dPlan plan_conv1d(std::int64_t tokens, std::int64_t channels) {
  Conv1dPlan plan;
  plan.chunks = ceil_div(channels, kChannelsOfWarp);
  const bool is_long = ceil_div(tokens, std::int64_t{128}) * plan.chunks >= 8192;
  plan.tokens_of_run = is_long ? 128 : 32;
  plan.runs = ceil_div(tokens, plan.tokens_of_run);
  return plan;
}

// At most 8,192 warps, each with its own partial sums: 21 MB of them for 1,792 channels and 4 taps.
Conv1dPlan plan_conv1d_backward(std::int64_t tokens, std::int64_t channels) {
  Conv1dPlan plan;
  plan.chunks = ceil_div(channels, kChannelsOfWarp);
  const std::int64_t most_runs = std::max<std::int64_t>(64, 8192 / std::max<std::int64_t>(1, plan.chunks));
  plan.tokens_of_run = std::max<std::int64_t>(32, ceil_div(tokens, most_runs));
  plan.runs = ceil_div(tokens, plan.tokens_of_run);
  return plan;
}

}  // namespace strandline::cuda
