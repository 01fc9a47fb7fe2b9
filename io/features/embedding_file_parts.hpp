// The two formats behind embedding_file.hpp. Internal to io/features.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "io/features/embedding_file.hpp"

namespace strandline::features {

inline constexpr std::size_t kMaxIdBytes = 65535;

/// @throws DataError for an id that no reader could give back: too long, or with a line end or NUL in it.
void require_usable_id(std::string_view id, const std::string& output_path);

/// Ids in the order given, in a file without a name beside the output: however many there are, they take no memory.
class IdSpool {
 public:
  explicit IdSpool(const std::string& output_path);

  /// @throws IoError.
  void append(std::string_view id);
  /// From the first again. No append may follow.
  void rewind();
  /// The next one. @throws IoError.
  void next(std::string& id);

  std::int64_t size() const { return size_; }
  std::size_t longest_bytes() const { return longest_bytes_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string output_path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::int64_t size_ = 0;
  std::size_t longest_bytes_ = 0;
};

std::unique_ptr<EmbeddingWriter> make_hdf5_writer(const std::string& path, const EmbeddingInfo& info);
std::unique_ptr<EmbeddingWriter> make_npy_writer(const std::string& path, const EmbeddingInfo& info);

}  // namespace strandline::features
