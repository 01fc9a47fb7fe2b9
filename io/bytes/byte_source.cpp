#include "io/bytes/byte_source.hpp"

#include <fcntl.h>
#include <htslib/bgzf.h>
#include <htslib/hfile.h>
#include <htslib/hts_log.h>
#include <htslib/kstring.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/hts_input.hpp"
#include "io/bytes/local_path.hpp"

namespace strandline {
namespace {

// Enough for any header line that tells the formats apart, and within the buffer of every hFILE.
constexpr std::size_t kPeekBytes = 8192;
constexpr int kBlocksPerThread = 64;  // of the queue of bgzf_mt
constexpr int kBgzf = 2;              // bgzf_compression
constexpr int kNotSeekable = 2;       // bgzf_check_EOF

int open_descriptor(const std::string& path, const std::string& name) {
  if (path != "-") require_local_path(path);
  const int descriptor =
      path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw IoError(name, "open", errno);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || S_ISDIR(status.st_mode)) {
    const int error = S_ISDIR(status.st_mode) ? EISDIR : errno;
    ::close(descriptor);
    throw IoError(name, "read", error);
  }
  return descriptor;
}

// A library never prints: HTSlib's own messages are off, ours say what went wrong.
void silence_htslib() { hts_set_log_level(HTS_LOG_OFF); }

bool looks_gzipped(const std::string& head) { return head.size() >= 2 && head[0] == '\x1f' && head[1] == '\x8b'; }

// Inflates as much of the first gzip members as lies in `head`. Damage is not reported here: the reader proper meets it
// again.
std::string inflate_prefix(std::string& head) {
  std::string text(4 * kPeekBytes, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw MemoryError("zlib could not start for want of memory");
  stream.next_in = reinterpret_cast<Bytef*>(head.data());
  stream.avail_in = static_cast<uInt>(head.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  int status = Z_OK;
  while (status == Z_OK && stream.avail_in > 0 && stream.avail_out > 0) {
    status = inflate(&stream, Z_SYNC_FLUSH);
    if (status == Z_STREAM_END) status = inflateReset(&stream);
  }
  text.resize(text.size() - stream.avail_out);
  inflateEnd(&stream);
  return text;
}

struct BgzfCloser {
  void operator()(BGZF* file) const { bgzf_close(file); }
};

class BgzfSource final : public ByteSource {
 public:
  BgzfSource(HtsInput input, const ByteSourceOptions& options) : name_(std::move(input.name)) {
    file_.reset(bgzf_hopen(input.file.get(), "r"));
    if (!file_)
      throw DataError({name_}, "the compressed data cannot be read", "Check it with gzip -t, or fetch it again");
    static_cast<void>(input.file.release());  // bgzf_close closes it now
    const int compression = bgzf_compression(file_.get());
    if (input.compressed && compression == 0) throw_corrupt(BGZF_ERR_IO);  // not even a whole gzip header
    allow_truncated_ = options.allow_truncated;
    if (compression != kBgzf) return;
    check_end_marker();
    // HTSlib's threads report damage late, and at times not at all: what may be truncated is decoded on this one.
    if (options.decode_threads > 1 && !allow_truncated_) bgzf_mt(file_.get(), options.decode_threads, kBlocksPerThread);
  }

  std::size_t read(char* destination, std::size_t size) override {
    const ssize_t count = bgzf_read(file_.get(), destination, size);
    if (count > 0) {
      offset_ += count;
      return static_cast<std::size_t>(count);
    }
    if (count == 0) {
      end_marker_checked_ = true;
      if (file_->no_eof_block != 0 && !allow_truncated_) throw_missing_end_marker(name_);
      return 0;
    }
    if (const int error = herrno(file_->fp); error != 0) throw IoError(name_, "read", error);
    throw_corrupt(file_->errcode);
  }

  const std::string& name() const override { return name_; }
  bool end_marker_checked() const override { return end_marker_checked_; }

 private:
  [[noreturn]] void throw_corrupt(unsigned error_code) const {
    const bool cut = (error_code & (BGZF_ERR_IO | BGZF_ERR_HEADER)) != 0;
    throw DataError({.file = name_, .byte_offset = offset_},
                    std::string("the compressed data ") + (cut ? "end in the middle" : "are damaged") +
                        " (not far behind this byte of the uncompressed text)",
                    "Check the file with gzip -t, or fetch it again");
  }

  // Before the first byte where the file can be searched; a pipe shows its end marker, or none, at the end.
  void check_end_marker() {
    const int found = bgzf_check_EOF(file_.get());
    if (found < 0) throw IoError(name_, "look for the end marker", errno);
    if (found == 0 && !allow_truncated_) throw_missing_end_marker(name_);
    end_marker_checked_ = found != kNotSeekable;
  }

  std::string name_;
  std::unique_ptr<BGZF, BgzfCloser> file_;
  std::int64_t offset_ = 0;
  bool end_marker_checked_ = true;
  bool allow_truncated_ = false;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::string_view bytes) : name_(std::move(name)), bytes_(bytes) {}

  std::size_t read(char* destination, std::size_t size) override {
    const std::size_t count = bytes_.copy(destination, size);
    bytes_.remove_prefix(count);
    return count;
  }
  const std::string& name() const override { return name_; }

 private:
  std::string name_;
  std::string_view bytes_;
};

}  // namespace

void HfileCloser::operator()(hFILE* file) const { hclose_abruptly(file); }

HtsInput open_hts_input(const std::string& path) {
  silence_htslib();
  HtsInput input;
  input.name = path == "-" ? "standard input" : path;
  const int descriptor = open_descriptor(path, input.name);
  input.file.reset(hdopen(descriptor, "r"));
  if (!input.file) {
    const int error = errno;
    ::close(descriptor);
    throw IoError(input.name, "open", error);
  }
  input.head.resize(kPeekBytes);
  const ssize_t count = hpeek(input.file.get(), input.head.data(), input.head.size());
  if (count < 0) throw IoError(input.name, "read", errno);
  input.head.resize(static_cast<std::size_t>(count));
  if (input.head.empty()) throw DataError({input.name}, "the file is empty", "Check how it was made");
  input.compressed = looks_gzipped(input.head);
  input.head_text = input.compressed ? inflate_prefix(input.head) : input.head;
  return input;
}

std::unique_ptr<ByteSource> make_byte_source(HtsInput input, const ByteSourceOptions& options) {
  return std::make_unique<BgzfSource>(std::move(input), options);
}

std::unique_ptr<ByteSource> open_bytes(const std::string& path, const ByteSourceOptions& options) {
  return make_byte_source(open_hts_input(path), options);
}

std::unique_ptr<ByteSource> bytes_in_memory(std::string_view bytes, const std::string& name) {
  HtsInput input{.file = nullptr, .name = name, .head = std::string(bytes.substr(0, kPeekBytes)), .head_text = {}};
  input.compressed = looks_gzipped(input.head);
  if (!input.compressed) return std::make_unique<MemorySource>(name, bytes);
  silence_htslib();
  kstring_t copy = KS_INITIALIZE;  // a copy that HTSlib may free
  if (kputsn(bytes.data(), bytes.size(), &copy) < 0) throw std::bad_alloc();
  input.file.reset(hopen("mem:", "r:", copy.s, copy.l));
  if (!input.file) {
    const int error = errno;
    ks_free(&copy);
    throw IoError(name, "open", error);
  }
  return make_byte_source(std::move(input), {});
}

void throw_missing_end_marker(const std::string& name) {
  throw DataError({name}, "the end marker is missing: the file is probably truncated",
                  "Fetch or write it again, or accept it as it is with --allow-truncated");
}

}  // namespace strandline
