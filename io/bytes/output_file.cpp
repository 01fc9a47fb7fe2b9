#include "io/bytes/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "core/base/error.hpp"

namespace strandline {
namespace {

constexpr std::size_t kBufferBytes = 1 << 16;

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

// Makes the rename itself survive a power cut.
void sync_directory(const std::string& path) {
  const std::string directory = directory_of(path);
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw IoError(directory, "open", errno);
  const int status = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  // Some network file systems cannot sync a directory; the file itself has been synced.
  if (status != 0 && error != EINVAL && error != EROFS) throw IoError(directory, "sync", error);
}

// mkstemp makes files private; give the mode that creating the file directly would have given.
void apply_umask(int descriptor) {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(descriptor, 0666 & ~mask);
}

}  // namespace

OutputFile::OutputFile(std::string path) : path_(std::move(path)) {
  if (path_ == "-") {
    descriptor_ = STDOUT_FILENO;
    return;
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(path_, ignored)) throw IoError(path_, "write", EISDIR);
  const std::string pattern = path_ + ".tmp-XXXXXX";
  std::vector<char> name(pattern.begin(), pattern.end());
  name.push_back('\0');
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) throw IoError(path_, "create a file in " + directory_of(path_), errno);
  temporary_path_ = name.data();
  apply_umask(descriptor_);
}

OutputFile::~OutputFile() {
  if (temporary_path_.empty()) return;
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!committed_) ::unlink(temporary_path_.c_str());
}

void OutputFile::write(std::string_view text) { write(text.data(), text.size()); }

void OutputFile::write(const void* data, std::size_t size_bytes) {
  const std::string_view bytes(static_cast<const char*>(data), size_bytes);
  if (buffered_.size() + size_bytes < kBufferBytes) {
    buffered_.append(bytes);
    return;
  }
  flush();
  write_through(bytes);
}

void OutputFile::overwrite(std::int64_t offset, const void* data, std::size_t size_bytes) {
  if (path_ == "-") throw IoError("standard output", "write again at an earlier place", ESPIPE);
  flush();
  const auto* bytes = static_cast<const char*>(data);
  while (size_bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, bytes, size_bytes, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw IoError(path_, "write", errno);
    bytes += written;
    offset += written;
    size_bytes -= static_cast<std::size_t>(written);
  }
}

void OutputFile::flush() {
  write_through(buffered_);
  buffered_.clear();
}

void OutputFile::write_through(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw IoError(path_ == "-" ? "standard output" : path_, "write", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void OutputFile::commit() {
  flush();
  if (path_ == "-") return;
  if (::fsync(descriptor_) != 0) throw IoError(path_, "sync", errno);
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (::close(descriptor) != 0) throw IoError(path_, "close", errno);
  if (::rename(temporary_path_.c_str(), path_.c_str()) != 0)
    throw IoError(path_, "rename a temporary file to it", errno);
  committed_ = true;
  sync_directory(path_);
}

void write_whole_file(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace strandline
