#include "core/model/mil/mil_orders.hpp"

#include <algorithm>
#include <numeric>

#include "core/base/checked.hpp"

namespace strandline {
namespace {

// The smallest whole number whose square is not below `value`: integers only, because a root in floating point may
// round to the wrong side from 2^52 on.
std::int64_t square_side(std::int64_t value) {
  std::int64_t low = 0;
  std::int64_t high = std::int64_t{1} << 31;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (middle * middle >= value) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

std::int64_t square_tokens(std::int64_t patches, SquarePadding padding) {
  if (padding == SquarePadding::none) return patches;
  const std::int64_t side = square_side(patches);
  return checked_product(side, side);
}

std::vector<std::int32_t> branch_order(int branch, std::int64_t tokens, Flip flip) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(tokens));
  std::iota(order.begin(), order.end(), 0);
  checked_cast<std::int32_t>(tokens);
  if (branch == 1 && flip == Flip::token) std::reverse(order.begin(), order.end());
  if (branch != 2) return order;
  const std::int64_t side = square_side(tokens);
  std::size_t place = 0;
  for (std::int64_t column = 0; column < side; ++column) {
    for (std::int64_t token = column; token < tokens; token += side) order[place++] = static_cast<std::int32_t>(token);
  }
  return order;
}

std::vector<std::int32_t> inverse_of(const std::vector<std::int32_t>& order) {
  std::vector<std::int32_t> inverse(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
  return inverse;
}

}  // namespace strandline
