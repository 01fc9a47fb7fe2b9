// A fixed team of threads for loops inside one operation. Splitting never changes a result: an index is always
// computed by one thread, alone, in the same way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace strandline {

class ThreadTeam {
 public:
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int threads() const;
  /// Calls body(index, worker) once for every index in [0, count), worker in [0, threads()); the caller takes part.
  /// Returns when all are done; rethrows the first exception. Not reentrant: body must not call parallel_for.
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t index, int worker)>& body);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strandline
