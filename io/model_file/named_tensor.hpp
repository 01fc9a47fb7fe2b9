// A tensor as files know it: a name, an element type, a shape, and bytes of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/dtype.hpp"

namespace strandline {

/// Row-major, densely packed, little-endian. A shape without entries is a scalar (one element); a size may be 0.
struct NamedTensor {
  std::string name{};
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape{};
  std::vector<std::byte> data{};
};

/// Product of the sizes. @throws ContractError for a negative size or when the product does not fit in int64.
std::int64_t element_count(const NamedTensor& tensor);

/// @throws ContractError when data.size() is not what shape and dtype ask for.
void require_consistent(const NamedTensor& tensor);

/// Index of the first element that is NaN or infinite, or -1. Integer tensors are always finite.
std::int64_t first_non_finite(const NamedTensor& tensor);

}  // namespace strandline
