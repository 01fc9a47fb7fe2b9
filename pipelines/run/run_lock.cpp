#include "pipelines/run/run_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/interprocess/sync/file_lock.hpp>
#include <cerrno>

#include "core/base/error.hpp"

namespace strandline {
namespace {

void make_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw IoError(path, "create", errno);
  ::close(descriptor);
}

// 0 when there is no such file.
ino_t inode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

class RunLock::Impl {
 public:
  boost::interprocess::file_lock lock;
};

RunLock::RunLock(const std::string& path, const std::string& what) : impl_(std::make_unique<Impl>()) {
  // A finished run removes its lock file. Who opened it just before would then hold a lock on a file without a name,
  // while the next run locks a new one: so the name must still mean the same file once the lock is held.
  while (true) {
    make_file(path);
    const ino_t before = inode_of(path);
    try {
      impl_->lock = boost::interprocess::file_lock(path.c_str());
      if (!impl_->lock.try_lock()) {
        throw DataError({path}, "another run is at work on " + what, "Wait for it to end, or write to another file");
      }
    } catch (const boost::interprocess::interprocess_exception& error) {
      throw IoError(path, "lock", error.get_native_error());
    }
    if (before != 0 && inode_of(path) == before) return;
  }
}

RunLock::~RunLock() = default;

}  // namespace strandline
