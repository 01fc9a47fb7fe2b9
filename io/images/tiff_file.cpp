#include "io/images/tiff_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <memory>

#include "core/base/error.hpp"

namespace strandline::tiff {
namespace {

constexpr tmsize_t kMaxAllocationBytes = tmsize_t{1} << 30;

int ignore_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }
int close_nothing(thandle_t) { return 0; }

}  // namespace

TiffFile::TiffFile(const InputFile& file) : descriptor_(file.descriptor()) {
  open(file.path(), "rm");
  if (tiff_ == nullptr && error_number_ != 0) throw IoError(file.path(), "read", error_number_);
  if (tiff_ == nullptr) {
    throw DataError({.file = file.path()}, "not a TIFF that can be read (" + take_message() + ")",
                    "It may be truncated or no image at all; make or copy it again");
  }
}

TiffFile::TiffFile(const OutputFile& file, Offsets offsets) : descriptor_(file.descriptor()) {
  open(file.path(), offsets == Offsets::wide ? "w8m" : "wm");
  if (tiff_ == nullptr) throw IoError(file.path(), "write", error_number_ != 0 ? error_number_ : EIO);
}

TiffFile::~TiffFile() {
  if (tiff_ != nullptr) TIFFClose(tiff_);
}

void TiffFile::open(const std::string& path, const char* mode) {
  const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                             TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMaxAllocationBytes);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep_message, this);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), ignore_warning, nullptr);
  tiff_ = TIFFClientOpenExt(path.c_str(), mode, this, read, write, seek, close_nothing, size, nullptr, nullptr,
                            options.get());
}

std::string TiffFile::take_message() {
  std::string message;
  message.swap(message_);
  return message.empty() ? "no reason given" : message;
}

tmsize_t TiffFile::read(thandle_t self, void* out, tmsize_t size) {
  auto& file = *static_cast<TiffFile*>(self);
  auto* bytes = static_cast<char*>(out);
  tmsize_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(file.descriptor_, bytes + done, static_cast<std::size_t>(size - done), file.position_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && file.error_number_ == 0) file.error_number_ = errno;
    if (got <= 0) break;
    file.position_ += got;
    done += got;
  }
  return done;
}

tmsize_t TiffFile::write(thandle_t self, void* data, tmsize_t size) {
  auto& file = *static_cast<TiffFile*>(self);
  const auto* bytes = static_cast<const char*>(data);
  tmsize_t done = 0;
  while (done < size) {
    const ssize_t put = ::pwrite(file.descriptor_, bytes + done, static_cast<std::size_t>(size - done), file.position_);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      if (file.error_number_ == 0) file.error_number_ = errno;
      break;
    }
    file.position_ += put;
    done += put;
  }
  return done;
}

std::uint64_t TiffFile::seek(thandle_t self, std::uint64_t offset, int whence) {
  auto& file = *static_cast<TiffFile*>(self);
  const auto distance = static_cast<std::int64_t>(offset);
  std::int64_t from = 0;
  if (whence == SEEK_CUR) from = file.position_;
  if (whence == SEEK_END) from = static_cast<std::int64_t>(size(self));
  // Offsets come from the file: one beyond any file is an error of the file, which the next read then finds.
  std::int64_t sum = 0;
  if (__builtin_add_overflow(from, distance, &sum) || sum < 0) return static_cast<std::uint64_t>(-1);
  file.position_ = sum;
  return static_cast<std::uint64_t>(file.position_);
}

std::uint64_t TiffFile::size(thandle_t self) {
  struct stat status {};
  if (::fstat(static_cast<TiffFile*>(self)->descriptor_, &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_size);
}

int TiffFile::keep_message(TIFF*, void* self, const char* module, const char* format, va_list arguments) {
  char text[512];
  if (std::vsnprintf(text, sizeof(text), format, arguments) < 0) return 1;
  auto& message = static_cast<TiffFile*>(self)->message_;
  message = module == nullptr ? std::string(text) : std::string(module) + ": " + text;
  return 1;  // and not on to the process-wide handler, which prints
}

}  // namespace strandline::tiff
