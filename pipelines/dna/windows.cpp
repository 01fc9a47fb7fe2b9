#include "pipelines/dna/windows.hpp"

#include <algorithm>
#include <string>

#include "core/base/error.hpp"

namespace strandline {

void WindowOptions::validate() const {
  if (window < 0) throw ContractError("window is " + std::to_string(window) + ", expected 0 or more");
  if (stride < 0 || (window > 0 && stride > window)) {
    throw ContractError("stride is " + std::to_string(stride) + ", expected 0 to the window of " +
                        std::to_string(window));
  }
}

WindowCutter::WindowCutter(const WindowOptions& options)
    : window_(static_cast<std::size_t>(options.window)),
      stride_(static_cast<std::size_t>(options.stride > 0 ? options.stride : options.window)) {
  options.validate();
}

void WindowCutter::push(std::span<const std::int32_t> ids) {
  // What lies before the window in turn is done with; seen_end_ never lies before it.
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(begin_));
  seen_end_ -= begin_;
  begin_ = 0;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

std::span<const std::int32_t> WindowCutter::window() const {
  const std::span<const std::int32_t> rest = std::span(ids_).subspan(begin_);
  if (rest.size() >= window_) return rest.first(window_);
  const bool uncovered = seen_end_ < ids_.size();
  return ended_ && uncovered ? rest : std::span<const std::int32_t>{};
}

void WindowCutter::advance() {
  const std::size_t length = std::min(window_, ids_.size() - begin_);
  seen_end_ = begin_ + length;
  begin_ += std::min(stride_, length);
}

void WindowCutter::restart() {
  ids_.clear();
  begin_ = 0;
  seen_end_ = 0;
  ended_ = false;
}

}  // namespace strandline
