// The first stage of a pipeline: makes items ahead, in a thread of its own.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "pipelines/stages/bounded_queue.hpp"

namespace strandline {

/// Runs `produce(emit)` once; next() gives the items in the order emitted. What `produce` throws comes out of next(),
/// after the items emitted before it. emit() waits while `ahead` items are not taken yet. Destroyed early, the stage
/// makes emit() throw something that `produce` must let through.
template <class Item>
class SourceStage {
 public:
  using Emit = std::function<void(Item)>;

  SourceStage(std::size_t ahead, std::function<void(const Emit&)> produce)
      : queue_(ahead), thread_([this, make = std::move(produce)] { run(make); }) {}

  ~SourceStage() { queue_.abandon(); }
  SourceStage(const SourceStage&) = delete;
  SourceStage& operator=(const SourceStage&) = delete;

  /// The next item; nothing at the end.
  std::optional<Item> next() { return queue_.pop(); }

 private:
  struct Abandoned {};

  void run(const std::function<void(const Emit&)>& produce) {
    try {
      produce([this](Item item) {
        if (!queue_.push(std::move(item))) throw Abandoned{};
      });
      queue_.close();
    } catch (const Abandoned&) {
      // Nobody waits for more.
    } catch (...) {
      queue_.fail(std::current_exception());
    }
  }

  BoundedQueue<Item> queue_;
  std::jthread thread_;  // last: joined before the queue goes
};

}  // namespace strandline
