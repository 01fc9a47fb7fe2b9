#include "io/bytes/byte_source.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "core/base/error.hpp"

namespace strandline {
namespace {

constexpr std::size_t kBufferBytes = 1 << 16;

class DescriptorSource final : public ByteSource {
 public:
  explicit DescriptorSource(std::string path) : path_(std::move(path)) {
    if (path_ == "-") {
      path_ = "standard input";
      descriptor_ = STDIN_FILENO;
      return;
    }
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) throw IoError(path_, "open", errno);
    owned_ = true;
  }
  ~DescriptorSource() override {
    if (owned_) ::close(descriptor_);
  }
  DescriptorSource(const DescriptorSource&) = delete;
  DescriptorSource& operator=(const DescriptorSource&) = delete;

  std::size_t read(char* out, std::size_t room) override {
    for (;;) {
      const ssize_t got = ::read(descriptor_, out, room);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) throw IoError(path_, "read", errno);
    }
  }

  const std::string& name() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
  bool owned_ = false;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}
  std::size_t read(char* out, std::size_t room) override {
    const std::size_t take = std::min(room, bytes_.size());
    if (take > 0) std::memcpy(out, bytes_.data(), take);
    bytes_.remove_prefix(take);
    return take;
  }

 private:
  std::string_view bytes_;
};

// Passes plain bytes on; inflates gzip member by member. zlib checks each member's length and CRC-32.
class InflatingSource final : public ByteSource {
 public:
  InflatingSource(std::unique_ptr<ByteSource> source, std::string name)
      : source_(std::move(source)), name_(std::move(name)), buffer_(kBufferBytes) {
    // Enough to see a BGZF header, whose extra field names itself "BC" at byte 12.
    while (size_ < 16 && fill()) {
    }
    compressed_ = size_ >= 2 && byte(0) == 0x1f && byte(1) == 0x8b;
    is_bgzf_ = compressed_ && size_ >= 14 && (byte(3) & 4U) != 0 && byte(12) == 'B' && byte(13) == 'C';
    // 16 + 15: gzip wrapping, largest window.
    if (compressed_ && ::inflateInit2(&stream_, 16 + 15) != Z_OK) throw MemoryError(name_ + ": no memory for zlib");
  }
  ~InflatingSource() override {
    if (compressed_) ::inflateEnd(&stream_);
  }
  InflatingSource(const InflatingSource&) = delete;
  InflatingSource& operator=(const InflatingSource&) = delete;

  std::size_t read(char* out, std::size_t room) override { return compressed_ ? inflate(out, room) : copy(out, room); }

 private:
  unsigned byte(std::size_t i) const { return static_cast<unsigned char>(buffer_[begin_ + i]); }

  // Appends to the buffer; false at the end of the file.
  bool fill() {
    if (begin_ == size_) begin_ = size_ = 0;
    const std::size_t got = source_->read(buffer_.data() + size_, buffer_.size() - size_);
    size_ += got;
    offset_ += static_cast<std::int64_t>(got);
    return got > 0;
  }

  std::size_t copy(char* out, std::size_t room) {
    if (begin_ == size_ && !fill()) return 0;
    const std::size_t take = std::min(room, size_ - begin_);
    std::memcpy(out, buffer_.data() + begin_, take);
    begin_ += take;
    return take;
  }

  std::size_t inflate(char* out, std::size_t room) {
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    const auto asked = static_cast<uInt>(std::min<std::size_t>(room, std::numeric_limits<uInt>::max()));
    stream_.avail_out = asked;
    while (stream_.avail_out == asked) {
      if (begin_ == size_ && !fill()) {
        if (in_member_) fail("the compressed data end in the middle");
        if (is_bgzf_ && !last_member_empty_) fail("the BGZF end marker is missing");
        return 0;
      }
      step();
    }
    member_bytes_ += asked - stream_.avail_out;
    return asked - stream_.avail_out;
  }

  void step() {
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data() + begin_);
    stream_.avail_in = static_cast<uInt>(size_ - begin_);
    if (!in_member_) {
      in_member_ = true;
      member_bytes_ = 0;
    }
    const uInt room = stream_.avail_out;
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    begin_ = size_ - stream_.avail_in;
    if (status == Z_MEM_ERROR) throw MemoryError(name_ + ": no memory for zlib");
    if (status == Z_STREAM_END) {
      last_member_empty_ = member_bytes_ == 0 && stream_.avail_out == room;
      in_member_ = false;
      ::inflateReset(&stream_);
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      fail("the compressed data are damaged");
    }
  }

  [[noreturn]] void fail(const std::string& problem) const {
    const auto offset = offset_ - static_cast<std::int64_t>(size_ - begin_);
    throw DataError({.file = name_, .byte_offset = offset}, problem + " (byte of the compressed file)",
                    "Copy or download the file again");
  }

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  std::int64_t offset_ = 0;  // of the end of the buffer in the file
  z_stream stream_{};
  std::uint64_t member_bytes_ = 0;  // given out by earlier calls
  bool compressed_ = false;
  bool is_bgzf_ = false;
  bool in_member_ = false;
  bool last_member_empty_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const std::string& path) {
  auto source = std::make_unique<DescriptorSource>(path);
  const std::string name = source->name();
  return std::make_unique<InflatingSource>(std::move(source), name);
}

std::unique_ptr<ByteSource> bytes_in_memory(std::string_view bytes, const std::string& name) {
  return std::make_unique<InflatingSource>(std::make_unique<MemorySource>(bytes), name);
}

}  // namespace strandline
