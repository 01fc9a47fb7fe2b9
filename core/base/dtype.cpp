#include "core/base/dtype.hpp"

#include "core/base/error.hpp"

namespace strandline {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::u8: return 1;
    case DType::bf16: return 2;
    case DType::f32:
    case DType::i32: return 4;
    case DType::f64:
    case DType::i64: return 8;
  }
  throw ContractError("size_of: unknown dtype");
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::u8: return "u8";
    case DType::bf16: return "bf16";
    case DType::f32: return "f32";
    case DType::i32: return "i32";
    case DType::f64: return "f64";
    case DType::i64: return "i64";
  }
  return "unknown";
}

}  // namespace strandline
