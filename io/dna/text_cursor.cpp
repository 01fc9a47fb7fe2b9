#include "io/dna/text_cursor.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>

namespace strandline {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;

}  // namespace

TextCursor::TextCursor(std::unique_ptr<ByteSource> source) : source_(std::move(source)), buffer_(kBufferBytes) {}

void TextCursor::refill() {
  buffer_offset_ += static_cast<std::int64_t>(end_);
  begin_ = 0;
  end_ = 0;  // before the read: it may throw
  end_ = source_->read(buffer_.data(), buffer_.size());
}

// Keeps what is unread and reads more behind it; false at the end.
bool TextCursor::grow() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    buffer_offset_ += static_cast<std::int64_t>(begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
  const std::size_t count = source_->read(buffer_.data() + end_, buffer_.size() - end_);
  end_ += count;
  return count > 0;
}

bool TextCursor::next_line(std::string_view& line, std::size_t limit_bytes) {
  std::size_t searched = 0;
  while (true) {
    const char* start = buffer_.data() + begin_;
    const std::size_t available = end_ - begin_;
    const void* found = std::memchr(start + searched, '\n', available - searched);
    if (found != nullptr) {
      std::size_t size = static_cast<std::size_t>(static_cast<const char*>(found) - start);
      begin_ += size + 1;
      ++line_;
      if (size > 0 && start[size - 1] == '\r') --size;
      line = {start, size};
      return true;
    }
    if (available > limit_bytes) {
      throw DataError(
          here(), "a line is longer than " + std::to_string(limit_bytes) + " bytes",
          "Is this a text file? Old Macintosh line ends (CR alone) are not read: convert them with tr '\\r' '\\n'");
    }
    searched = available;
    if (grow()) continue;
    if (available == 0) return false;
    start = buffer_.data() + begin_;  // grow() may have moved it
    begin_ = end_;
    line = {start, available - (start[available - 1] == '\r' ? 1 : 0)};
    return true;
  }
}

std::string describe_byte(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  if (std::isalpha(code)) return std::string("the letter '") + byte + "'";
  if (std::isgraph(code)) return std::string("the character '") + byte + "'";
  if (code == 0) return "a NUL byte";
  char text[32];
  std::snprintf(text, sizeof text, "the byte 0x%02x", code);
  return text;
}

}  // namespace strandline
