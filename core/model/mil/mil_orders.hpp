// In which order the branches of mamba2_mil read the patches, and back.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/mil/mil_config.hpp"

namespace strandline {

/// Tokens of one branch: with wrapped padding the next square number, else the patches themselves.
std::int64_t square_tokens(std::int64_t patches, SquarePadding padding);

/// source[i]: which token of the padded bag stands at place i of branch `branch`; a permutation of [0, tokens).
/// 0: as it is. 1: as it is for Flip::channel, else from the end. 2: transposed, column by column of rows as long as
/// the square is wide.
std::vector<std::int32_t> branch_order(int branch, std::int64_t tokens, Flip flip);

/// The permutation that undoes `order`.
std::vector<std::int32_t> inverse_of(const std::vector<std::int32_t>& order);

}  // namespace strandline
