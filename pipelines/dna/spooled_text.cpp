#include "pipelines/dna/spooled_text.hpp"

#include <cerrno>

#include "core/base/error.hpp"

namespace strandline {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;
constexpr const char* kName = "a temporary file (folder: TMPDIR)";

}  // namespace

void SpooledText::append(std::string_view text) {
  tail_ += text;
  size_ += static_cast<std::int64_t>(text.size());
  if (tail_.size() <= memory_bytes_) return;
  if (!file_) file_.reset(std::tmpfile());
  if (!file_) throw IoError(kName, "create", errno);
  if (std::fwrite(tail_.data(), 1, tail_.size(), file_.get()) != tail_.size()) throw IoError(kName, "write", errno);
  tail_.clear();
}

void SpooledText::read(const std::function<void(std::string_view)>& use) const {
  if (file_) {
    if (std::fseek(file_.get(), 0, SEEK_SET) != 0) throw IoError(kName, "read", errno);
    std::string piece(kPieceBytes, '\0');
    while (const std::size_t read = std::fread(piece.data(), 1, piece.size(), file_.get())) {
      use(std::string_view(piece).substr(0, read));
    }
    if (std::ferror(file_.get()) != 0) throw IoError(kName, "read", errno);
  }
  if (!tail_.empty()) use(tail_);
}

}  // namespace strandline
