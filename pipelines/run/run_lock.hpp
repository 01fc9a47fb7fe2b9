// One run at a time on one output.
#pragma once

#include <memory>
#include <string>

namespace strandline {

/// Holds an exclusive lock on the file `path` (made if missing) until destroyed; the system drops it when the process
/// ends, however it ends. Advisory, per process.
class RunLock {
 public:
  /// @param what is locked, in words, for the message. @throws DataError when another process holds it; IoError.
  RunLock(const std::string& path, const std::string& what);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strandline
