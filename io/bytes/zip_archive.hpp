// Members of a ZIP archive, as far as .pt and .npz files need them: stored or deflated, ZIP64 too. Internal to io.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/bytes/input_file.hpp"

namespace strandline {

struct ZipMember {
  std::string name;
  bool deflated = false;
  std::int64_t stored_bytes = 0;
  std::int64_t size_bytes = 0;
  std::int64_t header_offset = 0;
};

/// The directory is read and checked at once: every member lies within the file. Checksums of members are not compared
/// (PyTorch may be told to leave them out).
class ZipArchive {
 public:
  /// @throws DataError for a damaged or truncated archive, encryption, other compressions.
  explicit ZipArchive(const InputFile& file);

  const std::vector<ZipMember>& members() const { return members_; }
  const ZipMember* find(std::string_view name) const;
  /// The first whose name ends so.
  const ZipMember* find_ending(std::string_view ending) const;
  /// Byte of the file at which the member's data begin.
  std::int64_t data_offset(const ZipMember& member) const;
  /// The member's content. @throws DataError when it is longer than `most_bytes` or damaged.
  std::vector<std::byte> read(const ZipMember& member, std::int64_t most_bytes) const;

 private:
  void read_directory();
  void read_entries(std::int64_t offset, std::int64_t size_bytes, std::uint64_t members);
  void add(ZipMember member);
  [[noreturn]] void fail(const std::string& problem) const;

  const InputFile& file_;
  std::vector<ZipMember> members_;
};

bool is_zip(const InputFile& file);

}  // namespace strandline
