// libtiff over our own descriptors: its errors belong to one file and the system's errors are ours to see. Internal to
// io.
#pragma once

#include <tiffio.h>

#include <cstdint>
#include <string>

#include "io/bytes/input_file.hpp"
#include "io/bytes/output_file.hpp"

namespace strandline::tiff {

/// One open TIFF. Nothing is mapped into memory, so that a file that shrinks meanwhile is an error and not a signal;
/// no single allocation of libtiff's exceeds 1 GiB, whatever the file claims. One thread at a time.
class TiffFile {
 public:
  /// For reading. `file` must outlive it. @throws DataError when it is no TIFF.
  explicit TiffFile(const InputFile& file);
  enum class Offsets { narrow, wide };  ///< wide: BigTIFF, for more than 4 GB
  /// For writing through the descriptor of `file`, which must outlive it.
  TiffFile(const OutputFile& file, Offsets offsets);
  ~TiffFile();
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  TIFF* get() const { return tiff_; }
  /// What libtiff said last, and forgets it. "no reason given" when it said nothing.
  std::string take_message();
  /// errno of the first read or write that failed; 0 while all is well.
  int error_number() const { return error_number_; }

 private:
  void open(const std::string& path, const char* mode);
  static tmsize_t read(thandle_t self, void* out, tmsize_t size);
  static tmsize_t write(thandle_t self, void* data, tmsize_t size);
  static std::uint64_t seek(thandle_t self, std::uint64_t offset, int whence);
  static std::uint64_t size(thandle_t self);
  static int keep_message(TIFF* tiff, void* self, const char* module, const char* format, va_list arguments);

  int descriptor_;
  std::int64_t position_ = 0;
  int error_number_ = 0;
  std::string message_;
  TIFF* tiff_ = nullptr;
};

}  // namespace strandline::tiff
