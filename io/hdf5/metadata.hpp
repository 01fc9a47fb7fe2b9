// The bytes below a foreign HDF5 file, looked at with suspicion: every read is bounded, every number checked. Internal
// to io. Why not libhdf5: version 1.10 crashes and loops on damaged files, and locks what it opens, which fails on some
// network file systems. Source: The HDF Group, "HDF5 File Format Specification Version 3.0".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/bytes/input_file.hpp"

namespace strandline::hdf5 {

/// An address that the file leaves open (all bits set), for instance of storage that was never allocated.
inline constexpr std::int64_t kUndefined = -1;

/// What the superblock says about how everything else is written.
struct Superblock {
  std::int64_t base = 0;  ///< what addresses count from: a user block may come first
  int address_bytes = 8;
  int length_bytes = 8;
  std::int64_t root_header = 0;  ///< address of the root group's object header
};

class Metadata;

/// Reads numbers, little-endian, from a piece of the file. @throws DataError naming file and byte when the piece ends.
class Cursor {
 public:
  Cursor(const Metadata& metadata, std::int64_t address, std::vector<std::byte> bytes);

  std::uint64_t number(int bytes);
  int u8() { return static_cast<int>(number(1)); }
  int u16() { return static_cast<int>(number(2)); }
  std::int64_t u32() { return static_cast<std::int64_t>(number(4)); }
  /// kUndefined or a place in the file.
  std::int64_t address();
  /// A size or count. @throws DataError beyond int64.
  std::int64_t length();
  std::string text(std::size_t size_bytes);
  std::vector<std::byte> bytes(std::size_t size_bytes);
  void skip(std::size_t size_bytes);
  /// @throws DataError unless these letters come next.
  void expect(std::string_view signature);

  std::size_t remaining() const { return bytes_.size() - at_; }
  std::size_t position() const { return at_; }
  /// A cursor over the next bytes alone; this one moves behind them.
  Cursor piece(std::size_t size_bytes);
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  const std::byte* take(std::size_t size_bytes);

  const Metadata* metadata_;
  std::int64_t address_;
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

/// The file and its superblock. The number of pieces that may be read is limited, so that a file whose parts point at
/// each other in circles ends in a DataError.
class Metadata {
 public:
  /// @throws DataError when it is not HDF5, truncated, or still open in a writer; IoError.
  explicit Metadata(const InputFile& file);

  const InputFile& file() const { return file_; }
  const Superblock& superblock() const { return superblock_; }
  /// Bytes of the file from `address` (as the file counts them). @throws DataError when they are not all there.
  Cursor read(std::int64_t address, std::int64_t size_bytes) const;
  /// The same, without a copy of its own and not counted: for data.
  void read_data(std::int64_t address, void* out, std::size_t size_bytes) const;
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  void read_superblock(std::int64_t at);
  void require_within(std::int64_t address, std::int64_t size_bytes) const;

  const InputFile& file_;
  Superblock superblock_;
  mutable std::int64_t pieces_left_;
};

}  // namespace strandline::hdf5
