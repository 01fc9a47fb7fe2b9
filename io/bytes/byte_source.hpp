// Text in order, from a file, standard input or memory, inflated when it is compressed.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace strandline {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Up to `room` bytes; 0 only at the end. @throws IoError; DataError for damaged or truncated compression.
  virtual std::size_t read(char* out, std::size_t room) = 0;
};

/// gzip and BGZF are recognised by their first bytes, not by the name; all members are read, and what follows the last
/// is an error, as is a BGZF file without its end marker. "-" is standard input. Never uses the network.
/// @throws IoError when `path` cannot be opened.
std::unique_ptr<ByteSource> open_bytes(const std::string& path);

/// Reads `bytes`, which must outlive the source; `name` stands for the file in messages.
std::unique_ptr<ByteSource> bytes_in_memory(std::string_view bytes, const std::string& name);

}  // namespace strandline
