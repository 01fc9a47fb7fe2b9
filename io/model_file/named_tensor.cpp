#include "io/model_file/named_tensor.hpp"

#include <cmath>
#include <cstring>

#include "core/base/checked.hpp"

namespace strandline {
namespace {

// Bytes need not be aligned, so values are copied out.
template <class T>
std::int64_t first_non_finite_of(const std::vector<std::byte>& data) {
  for (std::size_t i = 0; i < data.size() / sizeof(T); ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    if constexpr (std::is_same_v<T, Bf16>) {
      if (!std::isfinite(to_float(value))) return static_cast<std::int64_t>(i);
    } else if (!std::isfinite(value)) {
      return static_cast<std::int64_t>(i);
    }
  }
  return -1;
}

}  // namespace

std::int64_t element_count(const NamedTensor& tensor) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t size : tensor.shape) {
    if (size < 0) throw ContractError("tensor '" + tensor.name + "' has a negative size");
    empty |= size == 0;
  }
  if (empty) return 0;
  for (const std::int64_t size : tensor.shape) count = checked_product(count, size);
  return count;
}

void require_consistent(const NamedTensor& tensor) {
  const std::int64_t size_bytes =
      checked_product(element_count(tensor), static_cast<std::int64_t>(size_of(tensor.dtype)));
  if (std::cmp_not_equal(size_bytes, tensor.data.size())) {
    throw ContractError("tensor '" + tensor.name + "' has " + std::to_string(tensor.data.size()) +
                        " bytes of data; its shape and type ask for " + std::to_string(size_bytes));
  }
}

std::int64_t first_non_finite(const NamedTensor& tensor) {
  switch (tensor.dtype) {
    case DType::f32: return first_non_finite_of<float>(tensor.data);
    case DType::f64: return first_non_finite_of<double>(tensor.data);
    case DType::bf16: return first_non_finite_of<Bf16>(tensor.data);
    case DType::i32:
    case DType::i64:
    case DType::u8: return -1;
  }
  return -1;
}

}  // namespace strandline
