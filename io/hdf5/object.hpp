// Objects of a foreign HDF5 file: their headers, types and attributes. Internal to io.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/bytes/element_type.hpp"
#include "io/hdf5/metadata.hpp"

namespace strandline::hdf5 {

struct Attribute {
  std::string name;
  ElementType type;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;

  std::int64_t elements() const;
};

/// One message of an object's header.
struct Message {
  int type = 0;
  bool shared = false;
  Cursor body;
};

/// Message numbers of the specification, section IV.A.2.
enum MessageType : int {
  kDataspace = 1,
  kLinkInfo = 2,
  kDatatype = 3,
  kLink = 6,
  kLayout = 8,
  kFilters = 11,
  kAttribute = 12,
  kContinuation = 16,
  kSymbolTable = 17,
  kAttributeInfo = 21,
};

/// An object's header, read. @throws DataError.
class Object {
 public:
  Object(const Metadata& metadata, std::int64_t address);

  /// The body of the first message of a type.
  std::optional<Cursor> find(MessageType type) const;
  std::vector<Cursor> all(MessageType type) const;

  const Metadata& metadata() const { return metadata_; }
  /// All whose types this program uses; the others are left out.
  const std::vector<Attribute>& attributes() const;

 private:
  void read_first_version(std::int64_t address);
  void read_second_version(std::int64_t address);
  void read_messages(Cursor& cursor, int version, bool with_order);
  void follow(Cursor body, int version, bool with_order);

  const Metadata& metadata_;
  std::vector<Message> messages_;
  mutable std::optional<std::vector<Attribute>> attributes_;
};

/// Parses a dataspace message; a scalar has no sizes. @throws DataError.
std::vector<std::int64_t> parse_dataspace(Cursor cursor);
ElementType parse_datatype(Cursor& cursor);
/// Product of sizes, checked. @throws DataError.
std::int64_t element_count(const Metadata& metadata, const std::vector<std::int64_t>& shape);

/// Addresses of the members of a group. Soft and external links are left out. @throws DataError.
std::map<std::string, std::int64_t> members_of(const Object& group);

/// The text that a variable-length string points at. `cursor` stands before length, address and index.
std::string variable_text(const Metadata& metadata, Cursor& cursor);

/// Objects of a fractal heap, in the order of the version-2 tree that names them; the heap's identifiers begin
/// `id_offset` bytes into its records. Large groups and objects with many attributes keep their messages there.
std::vector<Cursor> heap_objects(const Metadata& metadata, std::int64_t heap_address, std::int64_t tree_address,
                                 std::size_t id_offset);

/// An attribute's text: fixed or variable length, without padding. Nothing for other kinds.
std::optional<std::string> text_of(const Metadata& metadata, const Attribute& attribute);
/// An attribute's first number. Nothing for text.
std::optional<double> number_of(const Attribute& attribute);

}  // namespace strandline::hdf5
