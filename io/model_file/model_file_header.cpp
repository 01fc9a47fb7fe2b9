#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/error.hpp"
#include "io/bytes/checksum.hpp"
#include "io/model_file/model_file_parts.hpp"

namespace strandline::model_file {
namespace {

constexpr std::string_view kMagic = "strandline-file ";
constexpr std::string_view kHdf5Signature = "\x89HDF\r\n\x1a\n";
constexpr std::size_t kCheckedBytes = kHeaderBytes - 8;  // the last 8 are the block's own checksum
constexpr const char* kCopyAgain = "Copy the file again, or go back to an earlier one";
constexpr const char* kWhereFrom = "Models are made by 'strandline dna train' and 'strandline model import'";

bool has_hdf5_signature(const InputFile& file) {
  // HDF5 allows a block of the user's own before the signature, of 0, 512, 1024, ... bytes.
  for (std::int64_t at = 0; at <= file.size_bytes() - 8; at = at == 0 ? 512 : 2 * at) {
    std::array<char, 8> bytes;
    file.read_at(at, bytes.data(), bytes.size());
    if (std::string_view(bytes.data(), bytes.size()) == kHdf5Signature) return true;
  }
  return false;
}

[[noreturn]] void refuse_foreign(const InputFile& file, std::string_view start) {
  const FileLocation where{.file = file.path()};
  if (file.size_bytes() == 0) throw DataError(where, "the file is empty, not a model file", kWhereFrom);
  if (start.starts_with(kMagic)) throw DataError(where, "the model file is truncated within its header", kCopyAgain);
  if (has_hdf5_signature(file)) {
    throw DataError(where, "an HDF5 file, but not one that this program wrote", kWhereFrom);
  }
  throw DataError(where, "not a model file: it is not HDF5", kWhereFrom);
}

// The number after `key`, or -1.
std::int64_t number_after(std::string_view text, std::string_view key, int base) {
  const std::size_t at = text.find(key);
  if (at == text.npos) return -1;
  text.remove_prefix(at + key.size());
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() ? value : -1;
}

std::string hex_of(std::uint32_t value) { return fmt::format("{:08x}", value); }

}  // namespace

std::string_view name_of(ModelFileKind kind) { return kind == ModelFileKind::model ? "model" : "optimizer"; }

std::array<char, kHeaderBytes> encode(const Header& header) {
  std::array<char, kHeaderBytes> block{};
  const std::string text = fmt::format(
      "{}version {:010} kind {:<9} file-bytes {:020} body-crc32c {:08x} manifest-offset {:020} manifest-bytes {:020} "
      "manifest-crc32c {:08x}\n",
      kMagic, header.version, name_of(header.kind), header.file_bytes, header.body_checksum, header.manifest_offset,
      header.manifest_bytes, header.manifest_checksum);
  std::copy(text.begin(), text.end(), block.begin());
  const std::string own = hex_of(crc32c(block.data(), kCheckedBytes));
  std::copy(own.begin(), own.end(), block.begin() + kCheckedBytes);
  return block;
}

Header read_header(const InputFile& file) {
  std::array<char, kHeaderBytes> block{};
  const auto size = static_cast<std::size_t>(std::min(file.size_bytes(), kHeaderBytes));
  file.read_at(0, block.data(), size);
  const std::string_view text(block.data(), size);
  if (size < block.size() || !text.starts_with(kMagic)) refuse_foreign(file, text);
  const FileLocation where{.file = file.path()};
  if (text.substr(kCheckedBytes) != hex_of(crc32c(block.data(), kCheckedBytes))) {
    throw DataError({.file = file.path(), .byte_offset = 0}, "the header of the model file is damaged", kCopyAgain);
  }
  const std::int64_t version = number_after(text, "version ", 10);
  if (version < 1) throw DataError(where, "the header of the model file names no version", kWhereFrom);
  if (version > kModelFormatVersion) {
    throw DataError(
        where,
        fmt::format("the model file has format version {}; this program reads up to {}", version, kModelFormatVersion),
        "Use a newer strandline");
  }
  const bool is_model = text.find("kind model ") != text.npos;
  if (!is_model && text.find("kind optimizer ") == text.npos) {
    throw DataError(where, "the header of the model file names no kind that this program knows",
                    "Use a newer strandline");
  }
  const Header header{.version = static_cast<int>(version),
                      .kind = is_model ? ModelFileKind::model : ModelFileKind::optimizer,
                      .file_bytes = number_after(text, "file-bytes ", 10),
                      .body_checksum = static_cast<std::uint32_t>(number_after(text, "body-crc32c ", 16)),
                      .manifest_offset = number_after(text, "manifest-offset ", 10),
                      .manifest_bytes = number_after(text, "manifest-bytes ", 10),
                      .manifest_checksum = static_cast<std::uint32_t>(number_after(text, "manifest-crc32c ", 16))};
  if (file.size_bytes() != header.file_bytes) {
    const char* fault = file.size_bytes() < header.file_bytes ? "is truncated" : "has foreign bytes at its end";
    throw DataError(
        where, fmt::format("the model file {}: {} bytes instead of {}", fault, file.size_bytes(), header.file_bytes),
        kCopyAgain);
  }
  return header;
}

std::uint32_t checksum_of_body(const InputFile& file) {
  std::vector<char> buffer(1 << 20);
  Crc32c crc;
  for (std::int64_t offset = kHeaderBytes; offset < file.size_bytes();) {
    const auto take =
        static_cast<std::size_t>(std::min(static_cast<std::int64_t>(buffer.size()), file.size_bytes() - offset));
    file.read_at(offset, buffer.data(), take);
    crc.update(buffer.data(), take);
    offset += static_cast<std::int64_t>(take);
  }
  return crc.value();
}

}  // namespace strandline::model_file
