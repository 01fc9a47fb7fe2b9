// The first stage of a pipeline: makes items ahead, in a thread of its own.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <thread>

#include "pipelines/stages/bounded_queue.hpp"

namespace strandline {

/// Calls `produce` until it gives nothing; next() gives the items in the order made. What `produce` throws comes out of
/// next(), after the items made before it. At most `ahead` items wait. Destroyed early, it ends after the item in work.
template <class Item>
class SourceStage {
 public:
  SourceStage(std::size_t ahead, std::function<std::optional<Item>()> produce)
      : queue_(ahead), thread_([this, make = std::move(produce)] { run(make); }) {}

  ~SourceStage() { queue_.abandon(); }
  SourceStage(const SourceStage&) = delete;
  SourceStage& operator=(const SourceStage&) = delete;

  /// The next item; nothing at the end.
  std::optional<Item> next() { return queue_.pop(); }

 private:
  void run(const std::function<std::optional<Item>()>& produce) {
    try {
      while (std::optional<Item> item = produce()) {
        if (!queue_.push(std::move(*item))) return;
      }
      queue_.close();
    } catch (...) {
      queue_.fail(std::current_exception());
    }
  }

  BoundedQueue<Item> queue_;
  std::jthread thread_;  // last: joined before the queue goes
};

}  // namespace strandline
