// A fixed team of threads for loops inside one operation. Splitting never changes a result: an index is always
// computed by one thread, alone, in the same way.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace strandline {

class ThreadTeam {
 public:
  /// The calling thread is one of them: threads - 1 are started. @throws ContractError when threads < 1.
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int threads() const;

  /// Calls body(std::int64_t index, int worker) once for every index in [0, count), worker in [0, threads()). The
  /// caller takes part and is worker 0. Returns when all are done; rethrows the first exception, after which indices
  /// not yet begun are skipped. Not reentrant: body must not call parallel_for. Allocates nothing.
  template <class Body>
  void parallel_for(std::int64_t count, Body&& body) {
    using Callable = std::remove_reference_t<Body>;
    run(count, {const_cast<void*>(static_cast<const void*>(&body)), [](void* object, std::int64_t index, int worker) {
                  (*static_cast<Callable*>(object))(index, worker);
                }});
  }

 private:
  class Impl;
  /// A loop body seen, not owned: a std::function would allocate for every loop.
  struct BodyRef {
    void* object;
    void (*call)(void* object, std::int64_t index, int worker);
  };

  void run(std::int64_t count, BodyRef body);

  std::unique_ptr<Impl> impl_;
};

}  // namespace strandline
