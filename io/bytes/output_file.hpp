// Whole or absent: how every result of ours reaches its final name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strandline {

/// Writes to a temporary name in the directory of `path`; commit() fsyncs it, renames it to `path` and fsyncs the
/// directory. Destroyed without commit, it removes the temporary file: what has its final name is whole. The path "-"
/// means standard output, written through at once. One thread at a time. @throws IoError naming the file; after an
/// error nothing is retried.
class OutputFile {
 public:
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view text);
  void write(const void* data, std::size_t size_bytes);
  /// Writes over what was written before, for headers that are known last. @throws IoError, also for "-".
  void overwrite(std::int64_t offset, const void* data, std::size_t size_bytes);
  /// Flushes, syncs, renames. No write may follow.
  void commit();

  const std::string& path() const { return path_; }
  /// Open for reading and writing, for libraries that place bytes themselves (HDF5); not together with write().
  int descriptor() const { return descriptor_; }
  /// The temporary name, for writers that open it themselves (HTSlib) before commit(). Empty for "-".
  const std::string& temporary_path() const { return temporary_path_; }

 private:
  void flush();
  void write_through(std::string_view bytes);

  std::string path_;
  std::string temporary_path_;
  std::string buffered_;
  int descriptor_ = -1;
  bool committed_ = false;
};

/// One text as a whole file, as OutputFile does it.
void write_whole_file(const std::string& path, std::string_view text);

}  // namespace strandline
