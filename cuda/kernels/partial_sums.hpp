// The last step of sums over tokens for the gradients of weights: partial sums of ranges of tokens, added in order.
#pragma once

#include <cstdint>

#include "cuda/base/context.hpp"

namespace strandline::cuda {

/// out[row, column] += sum over i of partials[i, row, column], in a fixed order, in double. partials are dense
/// (count, rows, columns); out has rows `out_stride` apart.
struct PartialSums {
  const float* partials = nullptr;
  std::int64_t count = 0;
  std::int64_t rows = 1;
  std::int64_t columns = 0;
  float* out = nullptr;
  std::int64_t out_stride = 0;
};

void add_partial_sums(Context& context, const PartialSums& sums);

}  // namespace strandline::cuda
