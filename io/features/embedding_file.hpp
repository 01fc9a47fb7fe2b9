// One vector per record, appended as they come, in a file that h5py or numpy opens. The layouts are in docs/formats.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace strandline {

enum class EmbeddingFormat { hdf5, npy };

/// By the end of the name: ".npy" is npy, anything else HDF5.
EmbeddingFormat embedding_format_of(const std::string& path);

struct EmbeddingInfo {
  std::int64_t width = 0;  ///< numbers per record
  std::string model_hash;
  std::string pooling;
  std::string program_version;
};

/// Memory does not grow with the number of rows (ids wait in an unnamed file beside the output, because the width of
/// the fixed-length strings is known only at the end). A row may hold NaN: a record without an embedding. Whole or
/// absent, as OutputFile. npy: the ids go to `path`.ids.txt, one per line, which gets its name first. One thread at a
/// time. @throws ContractError (another width), DataError (an id with a line end or NUL, or longer than 65,535 bytes),
/// IoError naming the file; after an error nothing is retried.
class EmbeddingWriter {
 public:
  virtual ~EmbeddingWriter() = default;
  virtual void append(std::string_view id, std::span<const float> values) = 0;
  /// Gives the file its final name. No row may follow.
  virtual void commit() = 0;
};

std::unique_ptr<EmbeddingWriter> make_embedding_writer(const std::string& path, const EmbeddingInfo& info,
                                                       EmbeddingFormat format);

/// The same, with the format by name.
std::unique_ptr<EmbeddingWriter> make_embedding_writer(const std::string& path, const EmbeddingInfo& info);

}  // namespace strandline
