#include "io/features/embedding_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "io/features/embedding_file_parts.hpp"

namespace strandline {
namespace features {
namespace {

// O_TMPFILE is not on every file system; a name that is removed at once is.
int open_without_name(const std::string& output_path) {
  const std::string pattern = output_path + ".ids-XXXXXX";
  std::vector<char> name(pattern.begin(), pattern.end());
  name.push_back('\0');
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) throw IoError(output_path, "create a temporary file beside it", errno);
  ::unlink(name.data());
  return descriptor;
}

}  // namespace

void require_usable_id(std::string_view id, const std::string& output_path) {
  const FileLocation where{.file = output_path, .record = std::string(id.substr(0, 100))};
  if (id.size() > kMaxIdBytes)
    throw DataError(where, "the id is longer than 65,535 bytes", "Shorten the record's name");
  if (id.find_first_of(std::string_view("\0\r\n", 3)) != id.npos)
    throw DataError(where, "the id holds a line end or a NUL byte");
}

IdSpool::IdSpool(const std::string& output_path)
    : output_path_(output_path), file_(::fdopen(open_without_name(output_path), "w+b")) {
  if (!file_) throw IoError(output_path_, "create a temporary file beside it", errno);
}

void IdSpool::append(std::string_view id) {
  const auto length = static_cast<std::uint32_t>(id.size());
  if (std::fwrite(&length, sizeof(length), 1, file_.get()) != 1 ||
      std::fwrite(id.data(), 1, id.size(), file_.get()) != id.size()) {
    throw IoError(output_path_, "keep ids in a temporary file beside it", errno);
  }
  ++size_;
  longest_bytes_ = std::max(longest_bytes_, id.size());
}

void IdSpool::rewind() {
  if (std::fflush(file_.get()) != 0 || std::fseek(file_.get(), 0, SEEK_SET) != 0) {
    throw IoError(output_path_, "keep ids in a temporary file beside it", errno);
  }
}

void IdSpool::next(std::string& id) {
  std::uint32_t length = 0;
  if (std::fread(&length, sizeof(length), 1, file_.get()) == 1 && length <= kMaxIdBytes) {
    id.resize(length);
    if (std::fread(id.data(), 1, length, file_.get()) == length) return;
  }
  throw IoError(output_path_, "read ids back from a temporary file beside it", EIO);
}

}  // namespace features

EmbeddingFormat embedding_format_of(const std::string& path) {
  return path.ends_with(".npy") ? EmbeddingFormat::npy : EmbeddingFormat::hdf5;
}

std::unique_ptr<EmbeddingWriter> make_embedding_writer(const std::string& path, const EmbeddingInfo& info,
                                                       EmbeddingFormat format) {
  if (info.width <= 0) throw ContractError("make_embedding_writer: width must be positive");
  if (path == "-") throw IoError("standard output", "write embeddings", ESPIPE);
  return format == EmbeddingFormat::npy ? features::make_npy_writer(path, info)
                                        : features::make_hdf5_writer(path, info);
}

std::unique_ptr<EmbeddingWriter> make_embedding_writer(const std::string& path, const EmbeddingInfo& info) {
  return make_embedding_writer(path, info, embedding_format_of(path));
}

}  // namespace strandline
