// The last stage of a pipeline: uses up items in a thread of its own.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <thread>

#include "pipelines/stages/bounded_queue.hpp"

namespace strandline {

/// Calls `consume` on every item, in the order pushed, one at a time. At most `waiting` items queue up; push() waits
/// then. What `consume` throws comes out of the next push() or of finish(). Destroyed without finish(), it drops what
/// is queued.
template <class Item>
class SinkStage {
 public:
  SinkStage(std::size_t waiting, std::function<void(Item)> consume)
      : queue_(waiting), thread_([this, use = std::move(consume)] { run(use); }) {}

  ~SinkStage() { queue_.abandon(); }
  SinkStage(const SinkStage&) = delete;
  SinkStage& operator=(const SinkStage&) = delete;

  void push(Item item) {
    // The consumer closes the queue only when it has failed.
    if (!queue_.push(std::move(item))) finish();
  }

  /// Returns when everything pushed has been consumed. No push may follow.
  void finish() {
    queue_.close();
    if (thread_.joinable()) thread_.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run(const std::function<void(Item)>& consume) {
    try {
      while (std::optional<Item> item = queue_.pop()) consume(std::move(*item));
    } catch (...) {
      failure_ = std::current_exception();  // read only after the join
      queue_.abandon();
    }
  }

  BoundedQueue<Item> queue_;
  std::exception_ptr failure_;
  std::jthread thread_;  // last: joined before the queue goes
};

}  // namespace strandline
