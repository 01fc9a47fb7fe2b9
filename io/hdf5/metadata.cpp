#include "io/hdf5/metadata.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/error.hpp"

namespace strandline::hdf5 {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr const char* kMakeAgain = "Make or copy the file again";
// Every piece is at least as long as an entry of a group or a node of a tree; no sound file is read piece by piece more
// often than this.
constexpr std::int64_t kBytesPerPiece = 8;
constexpr std::int64_t kFewestPieces = 1000;

}  // namespace

Cursor::Cursor(const Metadata& metadata, std::int64_t address, std::vector<std::byte> bytes)
    : metadata_(&metadata), address_(address), bytes_(std::move(bytes)) {}

const std::byte* Cursor::take(std::size_t size_bytes) {
  if (size_bytes > remaining()) fail("a part of it ends too early");
  const std::byte* at = bytes_.data() + at_;
  at_ += size_bytes;
  return at;
}

std::uint64_t Cursor::number(int bytes) {
  if (bytes < 0 || bytes > 8) fail("a number of " + std::to_string(bytes) + " bytes");
  const std::byte* from = take(static_cast<std::size_t>(bytes));
  std::uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = value << 8U | std::to_integer<std::uint64_t>(from[i]);
  return value;
}

std::int64_t Cursor::address() {
  const int bytes = metadata_->superblock().address_bytes;
  const std::uint64_t value = number(bytes);
  const std::uint64_t undefined = bytes == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * bytes)) - 1;
  if (value == undefined) return kUndefined;
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) fail("an address beyond any file");
  return static_cast<std::int64_t>(value);
}

std::int64_t Cursor::length() {
  const std::uint64_t value = number(metadata_->superblock().length_bytes);
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) fail("a size beyond any file");
  return static_cast<std::int64_t>(value);
}

std::string Cursor::text(std::size_t size_bytes) {
  const std::byte* from = take(size_bytes);
  return {reinterpret_cast<const char*>(from), size_bytes};
}

std::vector<std::byte> Cursor::bytes(std::size_t size_bytes) {
  const std::byte* from = take(size_bytes);
  return {from, from + size_bytes};
}

void Cursor::skip(std::size_t size_bytes) { take(size_bytes); }

void Cursor::expect(std::string_view signature) {
  if (text(signature.size()) != signature) fail("'" + std::string(signature) + "' was expected here");
}

Cursor Cursor::piece(std::size_t size_bytes) {
  const auto begin = static_cast<std::int64_t>(at_);
  return {*metadata_, address_ + begin, bytes(size_bytes)};
}

void Cursor::fail(const std::string& problem) const {
  throw DataError(
      {.file = metadata_->file().path(), .byte_offset = metadata_->superblock().base + address_ + std::ssize(bytes_)},
      "the HDF5 file is damaged: " + problem, kMakeAgain);
}

Metadata::Metadata(const InputFile& file)
    : file_(file), pieces_left_(std::max(kFewestPieces, file.size_bytes() / kBytesPerPiece)) {
  // A block of the user's own may come first, of 512, 1024, ... bytes.
  for (std::int64_t at = 0; at <= file.size_bytes() - std::ssize(kSignature); at = at == 0 ? 512 : 2 * at) {
    std::array<char, kSignature.size()> start{};
    file.read_at(at, start.data(), start.size());
    if (std::string_view(start.data(), start.size()) != kSignature) continue;
    read_superblock(at);
    return;
  }
  throw DataError({.file = file.path()}, file.size_bytes() == 0 ? "the file is empty" : "not an HDF5 file", kMakeAgain);
}

void Metadata::read_superblock(std::int64_t at) {
  superblock_.base = at;
  Cursor cursor = read(std::ssize(kSignature), std::min<std::int64_t>(88, file_.size_bytes() - at - 8));
  const int version = cursor.u8();
  if (version > 3) fail("its format version " + std::to_string(version) + " is newer than this program");
  if (version < 2) cursor.skip(4);
  superblock_.address_bytes = cursor.u8();
  superblock_.length_bytes = cursor.u8();
  for (const int bytes : {superblock_.address_bytes, superblock_.length_bytes}) {
    if (bytes != 4 && bytes != 8) fail("addresses or sizes of " + std::to_string(bytes) + " bytes");
  }
  const auto flags = version < 2 ? 0 : cursor.u8();
  if (version < 2) cursor.skip(version == 1 ? 13 : 9);
  const std::int64_t base = cursor.address();
  cursor.address();  // of free space, or of the superblock's extension
  const std::int64_t end = cursor.address();
  if (version < 2) {
    cursor.address();  // of the driver's block
    cursor.address();  // of the name of the root, in its heap
  }
  superblock_.root_header = cursor.address();
  if (base != at && base != 0) fail("its addresses count from " + std::to_string(base));
  superblock_.base = base == 0 ? 0 : at;
  if ((flags & 5) != 0) {
    throw DataError({.file = file_.path()},
                    "the HDF5 file is still open in a program that writes it, or that was killed",
                    "Wait for that program; after a crash make the file again, or clear the mark with h5clear -s");
  }
  // Writers count the end from the beginning of the file, also behind a block of the user's.
  if (end == kUndefined || end > file_.size_bytes()) {
    throw DataError({.file = file_.path(), .byte_offset = file_.size_bytes()}, "the HDF5 file is truncated",
                    kMakeAgain);
  }
}

void Metadata::require_within(std::int64_t address, std::int64_t size_bytes) const {
  const std::int64_t available = file_.size_bytes() - superblock_.base;
  if (address >= 0 && size_bytes >= 0 && size_bytes <= available && address <= available - size_bytes) return;
  fail("a part of it lies outside the file");
}

Cursor Metadata::read(std::int64_t address, std::int64_t size_bytes) const {
  require_within(address, size_bytes);
  if (--pieces_left_ < 0) fail("its parts point at each other without end");
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes));
  file_.read_at(superblock_.base + address, bytes.data(), bytes.size());
  return {*this, address, std::move(bytes)};
}

void Metadata::read_data(std::int64_t address, void* out, std::size_t size_bytes) const {
  require_within(address, static_cast<std::int64_t>(size_bytes));
  file_.read_at(superblock_.base + address, out, size_bytes);
}

void Metadata::fail(const std::string& problem) const {
  throw DataError({.file = file_.path()}, "the HDF5 file is damaged: " + problem, kMakeAgain);
}

}  // namespace strandline::hdf5
