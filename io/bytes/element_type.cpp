#include "io/bytes/element_type.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "core/base/dtype.hpp"
#include "core/base/error.hpp"
#include "io/model_file/half.hpp"

namespace strandline {
namespace {

static_assert(std::endian::native == std::endian::little);

// The element's bits in the low end of a word.
std::uint64_t bits_of(const ElementType& type, const std::byte* from) {
  std::array<std::byte, 8> bytes{};
  const auto size = static_cast<std::size_t>(type.size_bytes);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = from[type.big_endian ? size - 1 - i : i];
  return std::bit_cast<std::uint64_t>(bytes);
}

double integer_of(const ElementType& type, std::uint64_t bits) {
  if (!type.is_signed) return static_cast<double>(bits);
  const auto unused = static_cast<unsigned>(64 - 8 * type.size_bytes);
  return static_cast<double>(static_cast<std::int64_t>(bits << unused) >> unused);
}

double value_of(const ElementType& type, std::uint64_t bits) {
  if (type.kind == ElementType::Kind::integer) return integer_of(type, bits);
  if (type.size_bytes == 8) return std::bit_cast<double>(bits);
  if (type.size_bytes == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  const auto half = static_cast<std::uint16_t>(bits);
  return type.exponent_bits == 8 ? to_float(Bf16{half}) : half_to_float(half);
}

void require_number(const ElementType& type) {
  if (!type.is_number()) throw ContractError("elements of type " + describe(type) + " are no numbers");
}

ElementType number_type(ElementType::Kind kind, std::int64_t size_bytes) {
  ElementType type;
  type.kind = kind;
  type.size_bytes = size_bytes;
  return type;
}

}  // namespace

ElementType floating_type(std::int64_t size_bytes) {
  ElementType type = number_type(ElementType::Kind::floating, size_bytes);
  type.exponent_bits = size_bytes == 8 ? 11 : size_bytes == 4 ? 8 : 5;
  return type;
}

ElementType bfloat16_type() {
  ElementType type = floating_type(2);
  type.exponent_bits = 8;
  return type;
}

ElementType signed_type(std::int64_t size_bytes) {
  ElementType type = unsigned_type(size_bytes);
  type.is_signed = true;
  return type;
}

ElementType unsigned_type(std::int64_t size_bytes) { return number_type(ElementType::Kind::integer, size_bytes); }

std::string describe(const ElementType& type) {
  const std::string bits = std::to_string(8 * type.size_bytes) + "-bit ";
  switch (type.kind) {
    case ElementType::Kind::integer: return bits + (type.is_signed ? "integer" : "unsigned integer");
    case ElementType::Kind::floating:
      return bits + (type.exponent_bits == 8 && type.size_bytes == 2 ? "bfloat" : "float");
    case ElementType::Kind::text:
    case ElementType::Kind::variable_text: return "text";
    case ElementType::Kind::other: break;
  }
  return "HDF5 class " + std::to_string(type.class_number);
}

void to_doubles(const ElementType& type, const std::byte* from, std::int64_t count, double* out) {
  require_number(type);
  for (std::int64_t i = 0; i < count; ++i) out[i] = value_of(type, bits_of(type, from + i * type.size_bytes));
}

void to_floats(const ElementType& type, const std::byte* from, std::int64_t count, float* out) {
  require_number(type);
  const bool plain = type.kind == ElementType::Kind::floating && type.size_bytes == 4 && !type.big_endian;
  if (plain) {
    std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(float));
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(value_of(type, bits_of(type, from + i * type.size_bytes)));
  }
}

}  // namespace strandline
