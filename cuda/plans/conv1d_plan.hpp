// How the convolution shares a pack out over warps: host arithmetic alone, tested without a GPU.
#pragma once

#include <cstdint>

namespace strandline::cuda {

/// A warp takes one run of tokens of one chunk of 128 channels. Results do not depend on where runs are cut; the sums
/// for dweight and dbias do, so those cuts depend on the shape alone, never on the card.
struct Conv1dPlan {
  std::int64_t tokens_of_run = 0;
  std::int64_t runs = 0;
  std::int64_t chunks = 0;

  std::int64_t warps() const { return runs * chunks; }
};

Conv1dPlan plan_conv1d(std::int64_t tokens, std::int64_t channels);
Conv1dPlan plan_conv1d_backward(std::int64_t tokens, std::int64_t channels);

}  // namespace strandline::cuda
