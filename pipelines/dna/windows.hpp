// A record's tokens, piece by piece, into windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace strandline {

/// Windows begin at 0, stride, 2 * stride, ... and are `window` bases long; the last is shorter when the record ends
/// within it, and no window begins once one has reached the record's end. So every base is in at least one window.
struct WindowOptions {
  std::int64_t window = 0;  ///< 0: no windows; the whole record is one sequence
  std::int64_t stride = 0;  ///< 0: as `window`; else 1 to window

  /// @throws ContractError naming the field.
  void validate() const;
};

/// Any split into pieces gives the same windows. Memory: one window and one piece.
class WindowCutter {
 public:
  /// With a window of 0 it cuts nothing and must not be pushed to.
  explicit WindowCutter(const WindowOptions& options);

  void push(std::span<const std::int32_t> ids);
  /// No piece of this record will follow.
  void end_record() { ended_ = true; }
  /// The window in turn; empty when it needs more of the record, or after the last. Valid until the next call.
  std::span<const std::int32_t> window() const;
  /// Goes on to the next window.
  void advance();
  /// Begins a new record.
  void restart();

 private:
  std::size_t window_;
  std::size_t stride_;
  std::vector<std::int32_t> ids_;
  std::size_t begin_ = 0;     // of the window in turn, in ids_
  std::size_t seen_end_ = 0;  // of the last window, in ids_
  bool ended_ = false;
};

}  // namespace strandline
