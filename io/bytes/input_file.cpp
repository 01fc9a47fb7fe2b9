#include "io/bytes/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/error.hpp"

namespace strandline {

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) throw IoError(path_, "open", errno);
  try {
    look();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

InputFile::InputFile(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor), owned_(false) {
  look();
}

InputFile::~InputFile() {
  if (owned_) ::close(descriptor_);
}

void InputFile::look() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw IoError(path_, "look at", errno);
  if (S_ISDIR(status.st_mode)) throw IoError(path_, "read", EISDIR);
  if (!S_ISREG(status.st_mode)) throw IoError(path_, "read (it must be a regular file)", ESPIPE);
  size_bytes_ = status.st_size;
}

void InputFile::read_at(std::int64_t offset, void* out, std::size_t size_bytes) const {
  auto* bytes = static_cast<char*>(out);
  while (size_bytes > 0) {
    const ssize_t got = ::pread(descriptor_, bytes, size_bytes, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError(path_, "read", errno);
    if (got == 0) {
      throw DataError({.file = path_, .byte_offset = offset}, "the file ends here, too early",
                      "It is truncated or was changed while it was read; make or copy it again");
    }
    bytes += got;
    offset += got;
    size_bytes -= static_cast<std::size_t>(got);
  }
}

}  // namespace strandline
