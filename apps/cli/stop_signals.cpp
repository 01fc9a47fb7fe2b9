#include "apps/cli/stop_signals.hpp"

#include <pthread.h>

#include <cstdlib>

namespace strandline {

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  waiter_ = std::jthread([this] { wait(); });
}

StopSignals::~StopSignals() {
  closing_ = true;
  // Directed at the waiter alone: it wakes, sees closing_, and ends.
  pthread_kill(waiter_.native_handle(), SIGTERM);
}

void StopSignals::wait() {
  while (true) {
    int signal = 0;
    if (sigwait(&signals_, &signal) != 0 || closing_) return;
    if (!source_.request_stop()) std::_Exit(128 + signal);
  }
}

}  // namespace strandline
