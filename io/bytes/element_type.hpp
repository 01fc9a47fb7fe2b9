// Numbers as foreign files hold them (HDF5, NumPy, PyTorch), and how they become ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace strandline {

/// A type of elements, as far as this program uses them.
struct ElementType {
  enum class Kind : std::uint8_t { integer, floating, text, variable_text, other };

  Kind kind = Kind::other;
  std::int64_t size_bytes = 0;
  bool big_endian = false;
  bool is_signed = false;
  int exponent_bits = 0;  ///< of a floating type with the sign on top, exponent, mantissa, as IEEE and bfloat16 have it
  int class_number = 0;   ///< HDF5's, for messages

  bool is_number() const { return kind == Kind::integer || kind == Kind::floating; }
};

/// 2, 4 or 8 bytes of IEEE 754, little-endian.
ElementType floating_type(std::int64_t size_bytes);
ElementType bfloat16_type();
/// 1, 2, 4 or 8 bytes, little-endian.
ElementType signed_type(std::int64_t size_bytes);
ElementType unsigned_type(std::int64_t size_bytes);

/// "16-bit float", "32-bit integer", "text"
std::string describe(const ElementType& type);

/// `count` numbers; 64-bit integers beyond 2^53 are rounded. @throws ContractError for a type that is no number.
void to_doubles(const ElementType& type, const std::byte* from, std::int64_t count, double* out);
/// The same to f32: exact from f16, bf16 and f32, rounded to nearest from f64 and integers.
void to_floats(const ElementType& type, const std::byte* from, std::int64_t count, float* out);

}  // namespace strandline
