#include "io/hdf5/object.hpp"

#include <utility>

#include "core/base/error.hpp"

namespace strandline::hdf5 {
namespace {

constexpr std::size_t kMostMessages = 10000;
constexpr std::size_t kMaxRank = 32;

std::size_t padded(std::size_t size_bytes) { return (size_bytes + 7) / 8 * 8; }

std::optional<Attribute> parse_attribute(Cursor cursor) {
  const int version = cursor.u8();
  if (version < 1 || version > 3) cursor.fail("an attribute of version " + std::to_string(version));
  const int flags = cursor.u8();
  const auto name_bytes = static_cast<std::size_t>(cursor.u16());
  const auto type_bytes = static_cast<std::size_t>(cursor.u16());
  const auto space_bytes = static_cast<std::size_t>(cursor.u16());
  if (version == 3) cursor.skip(1);  // ASCII or UTF-8
  const bool pads = version == 1;
  Attribute attribute;
  attribute.name = cursor.text(pads ? padded(name_bytes) : name_bytes);
  attribute.name.resize(std::min(attribute.name.size(), attribute.name.find('\0')));
  if (version > 1 && flags != 0) return std::nullopt;  // its type is kept elsewhere
  Cursor type = cursor.piece(pads ? padded(type_bytes) : type_bytes);
  attribute.type = parse_datatype(type);
  attribute.shape = parse_dataspace(cursor.piece(pads ? padded(space_bytes) : space_bytes));
  if (attribute.type.kind == ElementType::Kind::other) return std::nullopt;
  std::int64_t size_bytes = attribute.type.size_bytes;
  for (const std::int64_t size : attribute.shape) {
    if (__builtin_mul_overflow(size_bytes, size, &size_bytes)) cursor.fail("an attribute of impossible size");
  }
  if (std::cmp_greater(size_bytes, cursor.remaining())) cursor.fail("an attribute that is longer than its message");
  attribute.data = cursor.bytes(static_cast<std::size_t>(size_bytes));
  return attribute;
}

void parse_floating(ElementType& type, unsigned bits, Cursor& cursor) {
  const int offset = cursor.u16();
  const int precision = cursor.u16();
  const int exponent_at = cursor.u8();
  const int exponent_bits = cursor.u8();
  const int mantissa_at = cursor.u8();
  const int mantissa_bits = cursor.u8();
  const std::int64_t bias = cursor.u32();
  const int sign_at = static_cast<int>(bits >> 8U & 255U);
  const bool ieee_like = offset == 0 && precision == 8 * type.size_bytes && mantissa_at == 0 &&
                         exponent_at == mantissa_bits && sign_at == precision - 1 &&
                         mantissa_bits + exponent_bits + 1 == precision && (bits >> 4U & 3U) == 2 &&
                         (bits >> 6U & 1U) == 0;
  const bool half = precision == 16 && exponent_bits == 5 && bias == 15;
  const bool bf16 = precision == 16 && exponent_bits == 8 && bias == 127;
  const bool single = precision == 32 && exponent_bits == 8 && bias == 127;
  const bool twice = precision == 64 && exponent_bits == 11 && bias == 1023;
  if (!ieee_like || !(half || bf16 || single || twice)) return;
  type.kind = ElementType::Kind::floating;
  type.exponent_bits = exponent_bits;
}

void parse_integer(ElementType& type, Cursor& cursor) {
  const int offset = cursor.u16();
  const int precision = cursor.u16();
  const bool whole = type.size_bytes == 1 || type.size_bytes == 2 || type.size_bytes == 4 || type.size_bytes == 8;
  if (whole && offset == 0 && precision == 8 * type.size_bytes) type.kind = ElementType::Kind::integer;
}

}  // namespace

std::int64_t Attribute::elements() const { return type.size_bytes == 0 ? 0 : std::ssize(data) / type.size_bytes; }

ElementType parse_datatype(Cursor& cursor) {
  const int class_and_version = cursor.u8();
  const auto bits = static_cast<unsigned>(cursor.number(3));
  ElementType type;
  type.class_number = class_and_version & 15;
  type.size_bytes = cursor.u32();
  type.big_endian = (bits & 1U) != 0;
  if (type.size_bytes == 0) cursor.fail("a type without size");
  switch (type.class_number) {
    case 0:
      type.is_signed = (bits & 8U) != 0;
      parse_integer(type, cursor);
      break;
    case 1: parse_floating(type, bits, cursor); break;
    case 3: type.kind = ElementType::Kind::text; break;
    case 9:
      if ((bits & 15U) == 1) type.kind = ElementType::Kind::variable_text;
      break;
    default: break;
  }
  return type;
}

std::vector<std::int64_t> parse_dataspace(Cursor cursor) {
  const int version = cursor.u8();
  if (version != 1 && version != 2) cursor.fail("a dataspace of version " + std::to_string(version));
  const auto rank = static_cast<std::size_t>(cursor.u8());
  cursor.u8();  // whether limits follow: they change nothing
  const int kind = cursor.u8();
  if (version == 1) cursor.skip(4);
  if (rank > kMaxRank) cursor.fail("a dataspace of " + std::to_string(rank) + " dimensions");
  std::vector<std::int64_t> shape(rank);
  for (std::int64_t& size : shape) size = cursor.length();
  if (version == 2 && kind == 2) shape.assign(1, 0);  // no elements at all
  return shape;
}

std::int64_t element_count(const Metadata& metadata, const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) metadata.fail("a dataset of impossible size");
  }
  return count;
}

Object::Object(const Metadata& metadata, std::int64_t address) : metadata_(metadata) {
  if (address == kUndefined) metadata.fail("an object without an address");
  Cursor start = metadata.read(address, 4);
  if (start.text(4) == "OHDR") {
    read_second_version(address);
  } else {
    read_first_version(address);
  }
}

void Object::read_first_version(std::int64_t address) {
  Cursor prefix = metadata_.read(address, 16);
  if (const int version = prefix.u8(); version != 1)
    prefix.fail("an object header of version " + std::to_string(version));
  prefix.skip(1 + 2 + 4);
  const std::int64_t size_bytes = prefix.u32();
  Cursor messages = metadata_.read(address + 16, size_bytes);
  read_messages(messages, 1, false);
}

void Object::read_second_version(std::int64_t address) {
  constexpr std::int64_t kLongestPrefix = 4 + 2 + 16 + 4 + 8;
  const Superblock& superblock = metadata_.superblock();
  const std::int64_t available = metadata_.file().size_bytes() - superblock.base - address;
  Cursor prefix = metadata_.read(address, std::min(kLongestPrefix, available));
  prefix.expect("OHDR");
  if (const int version = prefix.u8(); version != 2)
    prefix.fail("an object header of version " + std::to_string(version));
  const int flags = prefix.u8();
  if ((flags & 32) != 0) prefix.skip(16);
  if ((flags & 16) != 0) prefix.skip(4);
  const std::uint64_t size_bytes = prefix.number(1 << (flags & 3));
  if (std::cmp_greater(size_bytes, available)) prefix.fail("an object header that is longer than the file");
  const bool with_order = (flags & 4) != 0;
  Cursor messages =
      metadata_.read(address + static_cast<std::int64_t>(prefix.position()), static_cast<std::int64_t>(size_bytes));
  read_messages(messages, 2, with_order);
}

void Object::read_messages(Cursor& cursor, int version, bool with_order) {
  const std::size_t prefix_bytes = version == 1 ? 8 : 4 + (with_order ? 2 : 0);
  while (cursor.remaining() >= prefix_bytes) {
    const int type = version == 1 ? cursor.u16() : cursor.u8();
    const auto size_bytes = static_cast<std::size_t>(cursor.u16());
    const int flags = cursor.u8();
    cursor.skip(prefix_bytes - (version == 1 ? 5 : 4));
    if (messages_.size() > kMostMessages) cursor.fail("an object with more than 10,000 messages");
    Cursor body = cursor.piece(size_bytes);
    if (type == kContinuation) {
      follow(std::move(body), version, with_order);
    } else {
      messages_.push_back({type, (flags & 2) != 0, std::move(body)});
    }
  }
}

void Object::follow(Cursor body, int version, bool with_order) {
  const std::int64_t address = body.address();
  const std::int64_t size_bytes = body.length();
  Cursor block = metadata_.read(address, size_bytes);
  if (version == 1) return read_messages(block, version, with_order);
  block.expect("OCHK");
  if (block.remaining() < 4) block.fail("a part of it ends too early");
  Cursor messages = block.piece(block.remaining() - 4);  // a checksum ends the block
  read_messages(messages, version, with_order);
}

std::optional<Cursor> Object::find(MessageType type) const {
  for (const Message& message : messages_) {
    if (message.type != type) continue;
    if (message.shared) {
      throw DataError({.file = metadata_.file().path()}, "the HDF5 file uses a named type, which this program does not",
                      "Write the file again with h5repack or h5py");
    }
    return message.body;
  }
  return std::nullopt;
}

std::vector<Cursor> Object::all(MessageType type) const {
  std::vector<Cursor> found;
  for (const Message& message : messages_) {
    if (message.type == type && !message.shared) found.push_back(message.body);
  }
  return found;
}

const std::vector<Attribute>& Object::attributes() const {
  if (attributes_) return *attributes_;
  std::vector<Cursor> bodies = all(kAttribute);
  if (auto info = find(kAttributeInfo)) {
    info->skip(1);
    if ((info->u8() & 1) != 0) info->skip(2);
    const std::int64_t heap = info->address();
    const std::int64_t tree = info->address();
    if (heap != kUndefined) {
      for (Cursor& body : heap_objects(metadata_, heap, tree, 0)) bodies.push_back(std::move(body));
    }
  }
  std::vector<Attribute> attributes;
  for (Cursor& body : bodies) {
    if (auto attribute = parse_attribute(std::move(body))) attributes.push_back(std::move(*attribute));
  }
  return attributes_.emplace(std::move(attributes));
}

std::optional<std::string> text_of(const Metadata& metadata, const Attribute& attribute) {
  std::string text;
  if (attribute.type.kind == ElementType::Kind::text && attribute.elements() == 1) {
    text.assign(reinterpret_cast<const char*>(attribute.data.data()), attribute.data.size());
  } else if (attribute.type.kind == ElementType::Kind::variable_text && attribute.elements() == 1) {
    Cursor cursor(metadata, 0, attribute.data);
    text = variable_text(metadata, cursor);
  } else {
    return std::nullopt;
  }
  text.resize(std::min(text.size(), text.find('\0')));
  return text;
}

std::optional<double> number_of(const Attribute& attribute) {
  if (!attribute.type.is_number() || attribute.elements() < 1) return std::nullopt;
  double value = 0;
  to_doubles(attribute.type, attribute.data.data(), 1, &value);
  return value;
}

}  // namespace strandline::hdf5
