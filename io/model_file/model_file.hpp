// A model, or the state of its optimiser, in one HDF5 file that is whole or absent. The layout is in docs/formats.md.
#pragma once

#include <string>
#include <vector>

#include "io/model_file/named_tensor.hpp"

namespace strandline {

/// Goes up when a file of the new kind would mislead an older program. Every older version stays readable.
inline constexpr int kModelFormatVersion = 1;

enum class ModelFileKind { model, optimizer };

struct ModelFile {
  int format_version = kModelFormatVersion;
  std::string config_json{};    ///< UTF-8 JSON text; kept byte for byte, not interpreted here
  std::string metadata_json{};  ///< the same: class names, metrics, versions
  std::vector<NamedTensor> tensors{};
  ModelFileKind kind = ModelFileKind::model;
};

/// Writes under a temporary name, syncs, reads everything back and compares checksums, then renames.
/// On any failure `path` is what it was before.
/// @throws NumericError when a floating-point tensor holds NaN or infinity (named with its index).
/// @throws ContractError for an inconsistent tensor, a repeated or unusable name, or another format version.
/// @throws IoError naming the file: full disk, read-only folder, file-size limit.
/// Cost: one pass to write and one to verify; one tensor's bytes of extra memory.
void write_model_file(const std::string& path, const ModelFile& model);

/// Reads a file that may be damaged or hostile: types, shapes and sizes are checked against the size of the file before
/// memory is taken, no variable-length data is ever touched, and every checksum is verified. Tensors come in the order
/// written.
/// @throws IoError when the file is missing, unreadable or locked.
/// @throws DataError naming the file and the fault: not HDF5, HDF5 but not ours, a newer version, the other kind,
/// truncated, a missing dataset, a wrong type or shape, a checksum that differs, a value that is not finite.
ModelFile read_model_file(const std::string& path, ModelFileKind kind = ModelFileKind::model);

/// SHA-256, as 64 hexadecimal digits, over config and tensors (names, types, shapes, values; in order), not over
/// metadata: equal for equal models whatever file holds them. This is the model hash of embeddings and run manifests.
std::string content_sha256(const ModelFile& model);

}  // namespace strandline
