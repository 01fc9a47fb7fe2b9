#include "core/cpu/thread_team.hpp"

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <exception>
#include <optional>
#include <string>
#include <thread>

#include "core/base/error.hpp"

namespace strandline {

// One job per thread is posted to the pool when the team is made, and stays: a post per loop would allocate and lock.
//
// A loop is open while `round_` is odd. A worker announces itself in `inside_` before it looks whether the round is
// open; the caller closes the round before it looks whether anyone is inside. Both are sequentially consistent, so
// either the worker sees the round closed and leaves the body alone, or the caller sees the worker and waits. A worker
// that is late (its processor was busy with something else) is therefore not waited for.
class ThreadTeam::Impl {
 public:
  explicit Impl(int threads) : threads_(threads) {
    if (threads == 1) return;
    pool_.emplace(static_cast<std::size_t>(threads - 1));
    for (int worker = 1; worker < threads; ++worker) {
      boost::asio::post(*pool_, [this, worker] { serve(worker); });
    }
  }

  ~Impl() {
    stop_ = true;
    round_ += 2;
    round_.notify_all();
    if (pool_) pool_->join();
  }

  int threads() const { return threads_; }

  void run(std::int64_t count, BodyRef body) {
    if (threads_ == 1 || count <= 1) {
      for (std::int64_t index = 0; index < count; ++index) body.call(body.object, index, 0);
      return;
    }
    body_ = body;
    count_ = count;
    next_ = 0;
    failed_ = false;
    round_ += 1;
    round_.notify_all();
    work(0);
    round_ += 1;
    wait_until_empty();
    if (failed_) std::rethrow_exception(failure_);
  }

 private:
  // Loops follow each other within microseconds inside a forward pass; going to sleep and being woken costs tens of
  // them. Yielding leaves the processor to others when there are more threads than processors.
  static constexpr int kSpins = 64;

  void serve(int worker) {
    std::uint32_t seen = 0;
    while (true) {
      std::uint32_t now = round_;
      for (int spin = 0; now == seen || now % 2 == 0; now = round_) {
        if (stop_) return;
        if (spin++ < kSpins) {
          std::this_thread::yield();
        } else {
          round_.wait(now);
        }
      }
      if (stop_) return;
      inside_ += 1;
      seen = round_;
      if (seen % 2 == 1) work(worker);
      if (inside_.fetch_sub(1) == 1) inside_.notify_one();
    }
  }

  void work(int worker) {
    try {
      for (std::int64_t index = next_++; index < count_; index = next_++) body_.call(body_.object, index, worker);
    } catch (...) {
      if (!failed_.exchange(true)) failure_ = std::current_exception();
      next_ = count_;
    }
  }

  void wait_until_empty() {
    int spin = 0;
    for (std::uint32_t inside = inside_; inside != 0; inside = inside_) {
      if (spin++ < kSpins) {
        std::this_thread::yield();
      } else {
        inside_.wait(inside);
      }
    }
  }

  const int threads_;
  std::atomic<std::uint32_t> round_{0};
  std::atomic<std::uint32_t> inside_{0};
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // written by the one that set failed_, read after everyone has left
  BodyRef body_{};
  std::int64_t count_ = 0;
  std::optional<boost::asio::thread_pool> pool_;  // last: its threads use all of the above
};

ThreadTeam::ThreadTeam(int threads) {
  if (threads < 1) throw ContractError("a thread team needs at least 1 thread, not " + std::to_string(threads));
  impl_ = std::make_unique<Impl>(threads);
}

ThreadTeam::~ThreadTeam() = default;

int ThreadTeam::threads() const { return impl_->threads(); }

void ThreadTeam::run(std::int64_t count, BodyRef body) { impl_->run(count, body); }

}  // namespace strandline
