// Progress on standard error: a line that redraws itself on a terminal, plain lines now and then in a log.
#pragma once

#include <chrono>
#include <string_view>

namespace strandline {

class Progress {
 public:
  explicit Progress(bool quiet);
  /// Ends a line that was being redrawn.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// True when enough time has passed since the last text: ten times a second on a terminal, every 30 s in a log.
  /// Asking first keeps formatting out of hot loops.
  bool is_due();
  /// Shows `text`, without a line end.
  void show(std::string_view text);
  /// A line that stays, whatever is shown after it.
  void say(std::string_view text);

 private:
  using Clock = std::chrono::steady_clock;
  bool quiet_;
  bool terminal_;
  bool line_open_ = false;
  Clock::time_point next_;
};

}  // namespace strandline
