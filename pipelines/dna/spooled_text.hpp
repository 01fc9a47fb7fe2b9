// Text that is needed again once a record's result is known: in memory when short, in an unnamed file when long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace strandline {

/// Append, then read as often as wanted. @throws IoError.
class SpooledText {
 public:
  /// @param memory_bytes more than this goes to an unnamed file in the folder for temporary files.
  explicit SpooledText(std::size_t memory_bytes = std::size_t{1} << 24U) : memory_bytes_(memory_bytes) {}

  void append(std::string_view text);
  std::int64_t size() const { return size_; }
  /// Calls `use` with the text in pieces, in order.
  void read(const std::function<void(std::string_view piece)>& use) const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::size_t memory_bytes_;
  std::int64_t size_ = 0;
  std::string tail_;  // what is not in the file
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace strandline
