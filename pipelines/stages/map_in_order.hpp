// Many workers on numbered pieces of work, results in the order of the numbers, a bounded number ahead.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "pipelines/stages/bounded_queue.hpp"

namespace strandline {

struct MapOptions {
  int threads = 1;
  std::size_t ahead = 2;  ///< results that each worker may have waiting
};

/// make_worker() is called once in each thread and gives what turns a number of [0, count) into an Item; use(item) runs
/// in the calling thread, in the order of the numbers. Worker w does the numbers w, w + threads, ...: memory is bounded
/// by threads * (ahead + 1) items, and a slow piece holds up the others only when they are `ahead`. What a worker
/// throws comes out in its turn; what use throws stops the workers after the piece they are at.
template <class Item, class MakeWorker, class Use>
void map_in_order(std::int64_t count, const MapOptions& options, const MakeWorker& make_worker, const Use& use) {
  using Queue = BoundedQueue<Item>;
  const auto threads =
      static_cast<std::size_t>(std::clamp<std::int64_t>(options.threads, 1, std::max<std::int64_t>(1, count)));
  std::vector<std::unique_ptr<Queue>> queues;
  for (std::size_t i = 0; i < threads; ++i)
    queues.push_back(std::make_unique<Queue>(std::max<std::size_t>(1, options.ahead)));

  const auto work = [&](std::size_t first) {
    Queue& queue = *queues[first];
    try {
      auto worker = make_worker();
      for (auto i = static_cast<std::int64_t>(first); i < count; i += static_cast<std::int64_t>(threads)) {
        if (!queue.push(worker(i))) return;
      }
      queue.close();
    } catch (...) {
      queue.fail(std::current_exception());
    }
  };
  // Left early, the queues are abandoned first, so that the threads end and can be joined.
  struct Abandon {
    const std::vector<std::unique_ptr<Queue>>& all;
    ~Abandon() {
      for (const auto& queue : all) queue->abandon();
    }
  };
  std::vector<std::jthread> workers;
  const Abandon abandon{queues};
  for (std::size_t i = 0; i < threads && count > 0; ++i) workers.emplace_back(work, i);
  for (std::int64_t i = 0; i < count; ++i) {
    std::optional<Item> item = queues[static_cast<std::size_t>(i) % threads]->pop();
    use(std::move(*item));
  }
}

}  // namespace strandline
