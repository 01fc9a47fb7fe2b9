// The parts of a model file that writer and reader share. Internal to io/model_file; the layout is in docs/formats.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/bytes/input_file.hpp"
#include "io/model_file/model_file.hpp"

namespace strandline::model_file {

inline constexpr std::int64_t kHeaderBytes = 512;  ///< the smallest user block of HDF5
inline constexpr const char* kConfig = "config";
inline constexpr const char* kMetadata = "metadata";
inline constexpr const char* kManifest = "manifest";
inline constexpr const char* kTensors = "tensors";
inline constexpr std::size_t kMaxRank = 8;
inline constexpr std::size_t kMaxTensors = 100000;
inline constexpr std::size_t kMaxNameBytes = 255;

/// The block of text before the HDF5 file proper. Reading starts here and goes on with the manifest and plain reads,
/// never with the HDF5 library, which (1.10.8) crashes or hangs on damaged files.
struct Header {
  int version = kModelFormatVersion;
  ModelFileKind kind = ModelFileKind::model;
  std::int64_t file_bytes = 0;
  std::uint32_t body_checksum = 0;  ///< CRC-32C of everything after the block
  std::int64_t manifest_offset = 0;
  std::int64_t manifest_bytes = 0;
  std::uint32_t manifest_checksum = 0;
};

std::string_view name_of(ModelFileKind kind);
std::array<char, kHeaderBytes> encode(const Header& header);
/// Checks everything but the checksum of the body. @throws DataError by name of the fault.
Header read_header(const InputFile& file);
/// CRC-32C of everything after the block.
std::uint32_t checksum_of_body(const InputFile& file);

struct ManifestEntry {
  std::string dataset{};  ///< "config", "tensors/backbone.norm_f.weight"
  DType dtype = DType::u8;
  std::vector<std::int64_t> shape{};
  std::int64_t offset = 0;  ///< of the first byte in the file; 0 when there is none
  std::uint32_t checksum = 0;
};

std::string to_text(const std::vector<ManifestEntry>& manifest);
/// @throws DataError for anything but what to_text gives. `file` is for messages.
std::vector<ManifestEntry> parse_manifest(std::string_view text, const std::string& file);

/// True for a name that is one link of an HDF5 group and one field of the manifest.
bool is_usable_name(std::string_view name);

struct Contents {
  Header header{};
  std::string config_json{};
  std::string metadata_json{};
};

/// Checks the whole file and gives every tensor to `take`. @throws DataError by name of the fault, IoError.
Contents read_contents(const InputFile& file, ModelFileKind kind, const std::function<void(NamedTensor&&)>& take);

}  // namespace strandline::model_file
