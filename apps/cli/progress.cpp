#include "apps/cli/progress.hpp"

#include <unistd.h>

#include <cstdio>

namespace strandline {
namespace {

constexpr std::chrono::milliseconds kTerminalInterval{100};
constexpr std::chrono::seconds kLogInterval{30};

}  // namespace

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {
  next_ = Clock::now() + (terminal_ ? Clock::duration(kTerminalInterval) : Clock::duration(kLogInterval));
}

Progress::~Progress() {
  if (line_open_) std::fputc('\n', stderr);
}

bool Progress::is_due() {
  if (quiet_) return false;
  const auto now = Clock::now();
  if (now < next_) return false;
  next_ = now + (terminal_ ? Clock::duration(kTerminalInterval) : Clock::duration(kLogInterval));
  return true;
}

void Progress::say(std::string_view text) {
  show(text);
  if (!line_open_) return;
  std::fputc('\n', stderr);
  line_open_ = false;
}

void Progress::show(std::string_view text) {
  if (quiet_) return;
  const int length = static_cast<int>(text.size());
  if (terminal_) {
    // Erase to the end of the line, so that a shorter text leaves nothing of a longer one.
    std::fprintf(stderr, "\r%.*s\x1b[K", length, text.data());
    line_open_ = true;
  } else {
    std::fprintf(stderr, "strandline: %.*s\n", length, text.data());
  }
  std::fflush(stderr);
}

}  // namespace strandline
