// Bytes in order, from a file, standard input or memory, decompressed when they are compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace strandline {

/// A stream of uncompressed bytes. One thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills `destination` with `size` bytes, or fewer at the end; 0 only at the end.
  /// @throws DataError (truncated or corrupt compression), IoError (the system could not read).
  virtual std::size_t read(char* destination, std::size_t size) = 0;
  /// For messages: the path, or "standard input".
  virtual const std::string& name() const = 0;
  /// False before the end of BGZF from a pipe: only there its end marker shows.
  virtual bool end_marker_checked() const { return true; }
};

struct ByteSourceOptions {
  int decode_threads = 1;        ///< for BGZF; plain gzip has no parallel decoder
  bool allow_truncated = false;  ///< accept BGZF without its end marker; it is then decoded on one thread
};

/// Opens a file or, for "-", standard input: plain, gzip (several members too) or BGZF, told apart by content.
/// Whatever follows the last gzip member is an error. Never uses the network.
/// @throws IoError (missing, unreadable, a directory, "scheme:" path), DataError (empty; BGZF without end marker).
std::unique_ptr<ByteSource> open_bytes(const std::string& path, const ByteSourceOptions& options = {});

/// Bytes that lie in memory, never decompressed; `bytes` must outlive the source, `name` stands for the file in
/// messages.
std::unique_ptr<ByteSource> bytes_in_memory(std::string_view bytes, const std::string& name);

}  // namespace strandline
