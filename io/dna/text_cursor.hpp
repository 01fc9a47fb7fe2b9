// A position in a text that streams past, with line and byte numbers for messages. Private to io.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "io/bytes/byte_source.hpp"

namespace strandline {

/// Two ways to go forward over one buffer: byte runs (window, consume), for lines of any length, and whole lines
/// (next_line).
class TextCursor {
 public:
  explicit TextCursor(std::unique_ptr<ByteSource> source);

  /// The bytes at hand from the position on; empty only at the end of the text. Valid until the next call.
  std::string_view window() {
    if (begin_ == end_) refill();
    return {buffer_.data() + begin_, end_ - begin_};
  }
  /// Steps over the first `count` bytes of the window, none of them a line feed.
  void consume(std::size_t count) { begin_ += count; }
  /// Steps over the line feed at the position.
  void consume_line_feed() { ++begin_, ++line_; }

  /// The rest of the current line without its line feed or CR LF; false at the end of the text. Valid until the next
  /// call.
  /// @throws DataError when the line is longer than `limit_bytes`.
  bool next_line(std::string_view& line, std::size_t limit_bytes);

  std::int64_t line() const { return line_; }  ///< 1-based, of the position
  std::int64_t offset() const { return buffer_offset_ + static_cast<std::int64_t>(begin_); }  ///< of the position
  const ByteSource& source() const { return *source_; }

  FileLocation here(std::string record = {}) const { return {source_->name(), std::move(record), line_, offset()}; }

 private:
  void refill();
  bool grow();

  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::int64_t buffer_offset_ = 0;  // of buffer_[0] in the text
  std::int64_t line_ = 1;
};

/// "byte 0x00 (NUL)", "letter 'E'", for messages.
std::string describe_byte(char byte);

}  // namespace strandline
