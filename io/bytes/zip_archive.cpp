#include "io/bytes/zip_archive.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {
namespace {

constexpr std::int64_t kEndBytes = 22;
constexpr std::int64_t kMostComment = 65535;
constexpr std::int64_t kEnd64Bytes = 56;
constexpr std::int64_t kLocator64Bytes = 20;
constexpr std::int64_t kEntryBytes = 46;
constexpr std::int64_t kLocalBytes = 30;
constexpr std::uint64_t kFull16 = 0xffff;
constexpr std::uint64_t kFull32 = 0xffffffff;
constexpr std::int64_t kMostDirectoryBytes = 1 << 26;
// zlib's best is 1032 to 1.
constexpr std::int64_t kLargestExpansion = 1100;

// Numbers at places of a piece of the file.
class Piece {
 public:
  Piece(const InputFile& file, std::int64_t offset, std::int64_t size_bytes)
      : bytes_(static_cast<std::size_t>(size_bytes)) {
    file.read_at(offset, bytes_.data(), bytes_.size());
  }

  std::int64_t size() const { return std::ssize(bytes_); }
  std::uint64_t number(std::int64_t at, int bytes) const {
    std::uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i)
      value = value << 8U | static_cast<unsigned char>(bytes_[static_cast<std::size_t>(at + i)]);
    return value;
  }
  std::string_view text(std::int64_t at, std::int64_t size_bytes) const {
    return std::string_view(bytes_.data(), bytes_.size())
        .substr(static_cast<std::size_t>(at), static_cast<std::size_t>(size_bytes));
  }

 private:
  std::vector<char> bytes_;
};

struct Directory {
  std::uint64_t members = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t offset = 0;
};

// Size, stored size and offset of a member.
using Sizes = std::array<std::uint64_t, 3>;

// ZIP64: what did not fit stands in an extra field, in this order. False when the fields overrun.
bool widen(const Piece& entries, std::int64_t extra, std::int64_t extra_end, Sizes& sizes) {
  while (extra_end - extra >= 4) {
    const std::uint64_t id = entries.number(extra, 2);
    std::int64_t field = extra + 4;
    const std::int64_t field_end = field + static_cast<std::int64_t>(entries.number(extra + 2, 2));
    if (field_end > extra_end) return false;
    for (std::uint64_t& size : sizes) {
      if (id != 1 || size != kFull32 || field_end - field < 8) continue;
      size = entries.number(field, 8);
      field += 8;
    }
    extra = field_end;
  }
  return true;
}

}  // namespace

bool is_zip(const InputFile& file) {
  return file.size_bytes() >= 4 && Piece(file, 0, 4).text(0, 4) == std::string_view("PK\x03\x04", 4);
}

ZipArchive::ZipArchive(const InputFile& file) : file_(file) { read_directory(); }

void ZipArchive::fail(const std::string& problem) const {
  throw DataError({.file = file_.path()}, "the zip archive is damaged: " + problem, "Make or copy the file again");
}

// The end of the archive says where its directory is; for ZIP64, a record before it does.
void ZipArchive::read_directory() {
  if (file_.size_bytes() < kEndBytes) fail("it is too short");
  const std::int64_t tail_bytes = std::min(file_.size_bytes(), kEndBytes + kMostComment + kLocator64Bytes);
  const Piece tail(file_, file_.size_bytes() - tail_bytes, tail_bytes);
  std::int64_t end = tail_bytes - kEndBytes;
  while (end >= 0 && tail.text(end, 4) != std::string_view("PK\x05\x06", 4)) --end;
  if (end < 0) fail("its directory is missing; the file is truncated");
  Directory directory{tail.number(end + 10, 2), tail.number(end + 12, 4), tail.number(end + 16, 4)};
  const bool large = directory.members == kFull16 || directory.size_bytes == kFull32 || directory.offset == kFull32;
  const std::int64_t locator = end - kLocator64Bytes;
  if (large && locator >= 0 && tail.text(locator, 4) == std::string_view("PK\x06\x07", 4)) {
    const std::uint64_t at = tail.number(locator + 8, 8);
    if (std::cmp_greater(at, file_.size_bytes() - kEnd64Bytes)) fail("its directory lies outside the file");
    const Piece record(file_, static_cast<std::int64_t>(at), kEnd64Bytes);
    if (record.text(0, 4) != std::string_view("PK\x06\x06", 4)) fail("its directory is not where it should be");
    directory = {record.number(32, 8), record.number(40, 8), record.number(48, 8)};
  }
  const auto file_bytes = static_cast<std::uint64_t>(file_.size_bytes());
  if (directory.size_bytes > file_bytes || directory.offset > file_bytes - directory.size_bytes)
    fail("its directory lies outside the file");
  if (directory.size_bytes > kMostDirectoryBytes) fail("its directory is longer than 64 MiB");
  read_entries(static_cast<std::int64_t>(directory.offset), static_cast<std::int64_t>(directory.size_bytes),
               directory.members);
}

void ZipArchive::read_entries(std::int64_t offset, std::int64_t size_bytes, std::uint64_t members) {
  const Piece entries(file_, offset, size_bytes);
  std::int64_t at = 0;
  for (std::uint64_t i = 0; i < members; ++i) {
    if (size_bytes - at < kEntryBytes || entries.text(at, 4) != std::string_view("PK\x01\x02", 4))
      fail("an entry of its directory");
    const auto name_bytes = static_cast<std::int64_t>(entries.number(at + 28, 2));
    const auto extra_bytes = static_cast<std::int64_t>(entries.number(at + 30, 2));
    const auto comment_bytes = static_cast<std::int64_t>(entries.number(at + 32, 2));
    if (size_bytes - at - kEntryBytes < name_bytes + extra_bytes + comment_bytes) fail("an entry of its directory");
    Sizes sizes{entries.number(at + 24, 4), entries.number(at + 20, 4), entries.number(at + 42, 4)};
    const std::int64_t extra = at + kEntryBytes + name_bytes;
    if (!widen(entries, extra, extra + extra_bytes, sizes)) fail("an entry of its directory");
    const std::uint64_t method = entries.number(at + 10, 2);
    if ((entries.number(at + 8, 2) & 1U) != 0) fail("a member is encrypted");
    if (method != 0 && method != 8) fail("a member is packed in another way than stored or deflated");
    add({std::string(entries.text(at + kEntryBytes, name_bytes)), method == 8, static_cast<std::int64_t>(sizes[1]),
         static_cast<std::int64_t>(sizes[0]), static_cast<std::int64_t>(sizes[2])});
    at += kEntryBytes + name_bytes + extra_bytes + comment_bytes;
  }
}

void ZipArchive::add(ZipMember member) {
  const std::int64_t most = file_.size_bytes();
  const bool inside = member.stored_bytes >= 0 && member.size_bytes >= 0 && member.header_offset >= 0 &&
                      member.stored_bytes <= most && member.header_offset <= most - member.stored_bytes;
  if (!inside) fail("a member lies outside the file");
  const std::int64_t largest = member.deflated ? member.stored_bytes * kLargestExpansion + 64 : member.stored_bytes;
  if (member.size_bytes > largest) fail("a member of impossible size");
  members_.push_back(std::move(member));
}

const ZipMember* ZipArchive::find(std::string_view name) const {
  const auto at =
      std::find_if(members_.begin(), members_.end(), [&](const ZipMember& one) { return one.name == name; });
  return at == members_.end() ? nullptr : &*at;
}

const ZipMember* ZipArchive::find_ending(std::string_view ending) const {
  const auto at =
      std::find_if(members_.begin(), members_.end(), [&](const ZipMember& one) { return one.name.ends_with(ending); });
  return at == members_.end() ? nullptr : &*at;
}

std::int64_t ZipArchive::data_offset(const ZipMember& member) const {
  if (member.header_offset > file_.size_bytes() - kLocalBytes) fail("a member lies outside the file");
  const Piece header(file_, member.header_offset, kLocalBytes);
  if (header.text(0, 4) != std::string_view("PK\x03\x04", 4)) fail("a member is not where the directory says");
  const auto offset = member.header_offset + kLocalBytes + static_cast<std::int64_t>(header.number(26, 2)) +
                      static_cast<std::int64_t>(header.number(28, 2));
  if (offset > file_.size_bytes() - member.stored_bytes) fail("a member lies outside the file");
  return offset;
}

std::vector<std::byte> ZipArchive::read(const ZipMember& member, std::int64_t most_bytes) const {
  if (member.size_bytes > most_bytes) fail("the member '" + member.name.substr(0, 80) + "' is too long");
  std::vector<std::byte> stored(static_cast<std::size_t>(member.stored_bytes));
  file_.read_at(data_offset(member), stored.data(), stored.size());
  if (!member.deflated) {
    stored.resize(static_cast<std::size_t>(member.size_bytes));
    return stored;
  }
  std::vector<std::byte> out(static_cast<std::size_t>(member.size_bytes));
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw IoError(file_.path(), "start zlib", ENOMEM);
  stream.next_in = reinterpret_cast<Bytef*>(stored.data());
  stream.avail_in = static_cast<uInt>(stored.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool fits = std::in_range<uInt>(stored.size()) && std::in_range<uInt>(out.size());
  const int status = fits ? inflate(&stream, Z_FINISH) : Z_DATA_ERROR;
  inflateEnd(&stream);
  if (status != Z_STREAM_END || stream.avail_out != 0)
    fail("the member '" + member.name.substr(0, 80) + "' cannot be unpacked");
  return out;
}

}  // namespace strandline
