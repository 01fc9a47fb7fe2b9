// SIGTERM and SIGINT as a stop token, so that no work runs inside a signal handler.
#pragma once

#include <atomic>
#include <csignal>
#include <stop_token>
#include <thread>

namespace strandline {

/// Blocks both signals in the calling thread and in every thread started after it, and waits for them in one of its
/// own. The first signal requests a stop; the second ends the process at once with 128 + its number. Make one, first
/// thing in main.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  std::stop_token token() const { return source_.get_token(); }

 private:
  void wait();

  sigset_t signals_{};
  std::stop_source source_;
  std::atomic<bool> closing_ = false;
  std::jthread waiter_;
};

}  // namespace strandline
