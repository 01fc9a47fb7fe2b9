#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "core/base/error.hpp"
#include "io/bytes/zip_archive.hpp"
#include "io/features/bag_parts.hpp"

namespace strandline::features {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kMostHeaderBytes = 65536;
constexpr std::int64_t kMostLocationBytes = std::int64_t{1} << 30;
constexpr const char* kSaveAgain = "Save it again: numpy.save(path, numpy.ascontiguousarray(array))";

// Python's own spelling of a dictionary of three entries, which numpy.save writes: "{'descr': '<f4', 'fortran_order':
// False, 'shape': (3, 4), }".
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::string_view after(std::string_view key) const {
    const std::size_t at = text_.find(std::string("'").append(key).append("':"));
    if (at == text_.npos) fail("its header lacks " + std::string(key));
    std::string_view rest = text_.substr(at + key.size() + 3);
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    return rest;
  }

  std::vector<std::int64_t> shape() const {
    std::string_view rest = after("shape");
    const std::size_t end = rest.find(')');
    if (!rest.starts_with('(') || end == rest.npos) fail("its header has no shape");
    rest = rest.substr(1, end - 1);
    std::vector<std::int64_t> shape;
    while (true) {
      rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(", ")));
      if (rest.empty()) return shape;
      std::int64_t size = 0;
      const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
      if (error != std::errc() || size < 0 || shape.size() > 8) fail("its header has no shape");
      shape.push_back(size);
      rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()));
    }
  }

  ElementType type() const {
    const std::string_view descr = after("descr").substr(0, 5);
    ElementType type;
    const bool shaped = descr.size() == 5 && descr[0] == '\'' && descr[4] == '\'';
    const std::int64_t size_bytes = shaped ? descr[3] - '0' : 0;
    const bool small = size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8;
    if (small && descr[2] == 'f' && size_bytes > 1) type = floating_type(size_bytes);
    if (small && descr[2] == 'i') type = signed_type(size_bytes);
    if (small && descr[2] == 'u') type = unsigned_type(size_bytes);
    if (!type.is_number()) {
      throw DataError({.file = file_}, "holds elements of type " + std::string(descr) + ", which are no plain numbers",
                      "Save it as float32: numpy.save(path, array.astype('float32'))");
    }
    type.big_endian = descr[1] == '>';
    return type;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw DataError({.file = file_}, "the .npy file is damaged: " + problem, kSaveAgain);
  }

 private:
  std::string_view text_;
  const std::string& file_;
};

struct Start {
  std::int64_t header_at = 0;
  std::int64_t header_bytes = 0;
};

Start parse_start(std::string_view start, const std::string& file) {
  const HeaderText header("", file);
  if (!start.starts_with(kMagic)) header.fail("its first bytes");
  const int version = start[6];
  if (version < 1 || version > 3) header.fail("format version " + std::to_string(version));
  Start out{.header_at = version == 1 ? 10 : 12};
  for (std::int64_t i = out.header_at - 1; i >= 8; --i)
    out.header_bytes = out.header_bytes << 8U | static_cast<unsigned char>(start[static_cast<std::size_t>(i)]);
  if (out.header_bytes > kMostHeaderBytes) header.fail("its header is longer than 65,536 bytes");
  return out;
}

RawMatrix parse_header(std::string_view text, const Start& start, const std::string& file) {
  const HeaderText header(text, file);
  RawMatrix matrix;
  matrix.type = header.type();
  const std::vector<std::int64_t> shape = header.shape();
  require_bag_shape(shape, file, matrix);
  matrix.row_stride = matrix.columns;
  matrix.offset = start.header_at + start.header_bytes;
  if (header.after("fortran_order").starts_with("True") && matrix.rows > 1 && matrix.columns > 1)
    throw DataError({.file = file}, "the array is stored column by column", kSaveAgain);
  return matrix;
}

}  // namespace

RawMatrix parse_npy(const InputFile& file) {
  std::array<char, 12> start{};
  if (file.size_bytes() < std::ssize(start)) HeaderText("", file.path()).fail("it is too short");
  file.read_at(0, start.data(), start.size());
  const Start header = parse_start({start.data(), start.size()}, file.path());
  std::string text(static_cast<std::size_t>(header.header_bytes), '\0');
  file.read_at(header.header_at, text.data(), text.size());
  RawMatrix matrix = parse_header(text, header, file.path());
  require_within(file, matrix);
  return matrix;
}

RawMatrix parse_npy(const std::vector<std::byte>& bytes, const std::string& name) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (all.size() < 12) HeaderText("", name).fail("it is too short");
  const Start header = parse_start(all, name);
  if (header.header_at + header.header_bytes > std::ssize(all)) HeaderText("", name).fail("it is truncated");
  const auto text =
      all.substr(static_cast<std::size_t>(header.header_at), static_cast<std::size_t>(header.header_bytes));
  RawMatrix matrix = parse_header(text, header, name);
  const std::int64_t available = (std::ssize(all) - matrix.offset) / matrix.type.size_bytes;
  if (matrix.columns > 0 && matrix.rows > available / matrix.columns) HeaderText("", name).fail("it is truncated");
  return matrix;
}

std::vector<PatchCoordinate> read_npz_coordinates(const std::string& path) {
  const InputFile file(path);
  const ZipArchive archive(file);
  const ZipMember* member = archive.find("arr_0.npy");
  if (member == nullptr) throw DataError({.file = path}, "has no array 'arr_0'", "slideflow writes locations under it");
  const std::vector<std::byte> bytes = archive.read(*member, kMostLocationBytes);
  const RawMatrix matrix = parse_npy(bytes, path);
  if (matrix.rows > 0 && matrix.columns != 2)
    throw DataError({.file = path}, "has " + std::to_string(matrix.columns) + " numbers per location, expected 2");
  return to_coordinates(matrix, bytes.data() + matrix.offset, path);
}

}  // namespace strandline::features
