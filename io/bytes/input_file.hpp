// A regular file read at any offset. pread, never mmap: a file that shrinks meanwhile is an error and not a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace strandline {

/// @throws IoError naming the file.
class InputFile {
 public:
  /// Refuses folders, pipes and devices: they have no size.
  explicit InputFile(std::string path);
  /// Looks at a descriptor that someone else owns and closes; `path` is for messages.
  InputFile(std::string path, int descriptor);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  /// When it was opened.
  std::int64_t size_bytes() const { return size_bytes_; }
  int descriptor() const { return descriptor_; }

  /// All of [offset, offset + size_bytes). @throws DataError when the file ends earlier.
  void read_at(std::int64_t offset, void* out, std::size_t size_bytes) const;

 private:
  void look();

  std::string path_;
  std::int64_t size_bytes_ = 0;
  int descriptor_ = -1;
  bool owned_ = true;
};

}  // namespace strandline
