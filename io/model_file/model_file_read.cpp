#include <fmt/format.h>

#include <bit>
#include <unordered_set>

#include "core/base/error.hpp"
#include "io/bytes/checksum.hpp"
#include "io/model_file/model_file_parts.hpp"

namespace strandline {
namespace model_file {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr const char* kCopyAgain = "Copy the file again, or go back to an earlier one";

// Sizes before memory, checksums before use.
class ContentsReader {
 public:
  explicit ContentsReader(const InputFile& file) : file_(file) {}

  Contents read(ModelFileKind kind, const std::function<void(NamedTensor&&)>& take) const {
    Contents contents{.header = read_header(file_)};
    const Header& header = contents.header;
    if (header.kind != kind) {
      throw DataError({.file = file_.path()},
                      fmt::format("a file of kind '{}', not '{}'", name_of(header.kind), name_of(kind)),
                      kind == ModelFileKind::model ? "Give the model itself, not the state of its optimiser" : "");
    }
    const std::vector<ManifestEntry> manifest = read_manifest(header);
    if (manifest.size() < 2 || manifest[0].dataset != kConfig || manifest[1].dataset != kMetadata) {
      fail("the manifest of the model file lacks config or metadata");
    }
    contents.config_json = read_text(manifest[0]);
    contents.metadata_json = read_text(manifest[1]);
    read_tensors({manifest.begin() + 2, manifest.end()}, take);
    // What is left is between the datasets: HDF5's own, which other programs read.
    if (checksum_of_body(file_) != header.body_checksum) fail("the model file is damaged outside of its datasets");
    return contents;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw DataError({.file = file_.path()}, problem, kCopyAgain);
  }

  std::vector<ManifestEntry> read_manifest(const Header& header) const {
    const ManifestEntry entry{.dataset = kManifest,
                              .dtype = DType::u8,
                              .shape = {header.manifest_bytes},
                              .offset = header.manifest_offset,
                              .checksum = header.manifest_checksum};
    return parse_manifest(read_text(entry), file_.path());
  }

  void read_tensors(const std::vector<ManifestEntry>& manifest, const std::function<void(NamedTensor&&)>& take) const {
    std::unordered_set<std::string> names;
    const std::string prefix = std::string(kTensors) + '/';
    for (const ManifestEntry& entry : manifest) {
      NamedTensor tensor{.dtype = entry.dtype, .shape = entry.shape};
      if (entry.dataset.starts_with(prefix)) tensor.name = entry.dataset.substr(prefix.size());
      if (!is_usable_name(tensor.name) || !names.insert(tensor.name).second) {
        fail("the manifest of the model file has an unusable or repeated name '" + entry.dataset + "'");
      }
      tensor.data = read_dataset(entry);
      const std::int64_t at = first_non_finite(tensor);
      if (at >= 0) fail(fmt::format("the tensor '{}' is not finite at element {}", tensor.name, at));
      take(std::move(tensor));
    }
  }

  std::string read_text(const ManifestEntry& entry) const {
    if (entry.dtype != DType::u8 || entry.shape.size() != 1)
      fail("the dataset '" + entry.dataset + "' is not a list of bytes");
    const std::vector<std::byte> data = read_dataset(entry);
    return {reinterpret_cast<const char*>(data.data()), data.size()};
  }

  std::vector<std::byte> read_dataset(const ManifestEntry& entry) const {
    auto size_bytes = static_cast<std::int64_t>(size_of(entry.dtype));
    for (const std::int64_t size : entry.shape) {
      if (size < 0 || __builtin_mul_overflow(size_bytes, size, &size_bytes))
        fail("the dataset '" + entry.dataset + "' has an impossible shape");
    }
    if (entry.offset < 0 || size_bytes > file_.size_bytes() || entry.offset > file_.size_bytes() - size_bytes) {
      fail("the dataset '" + entry.dataset + "' does not lie within the file");
    }
    std::vector<std::byte> data(static_cast<std::size_t>(size_bytes));
    file_.read_at(entry.offset, data.data(), data.size());
    if (crc32c(data.data(), data.size()) != entry.checksum)
      fail("the dataset '" + entry.dataset + "' does not match its checksum");
    return data;
  }

  const InputFile& file_;
};

}  // namespace

Contents read_contents(const InputFile& file, ModelFileKind kind, const std::function<void(NamedTensor&&)>& take) {
  return ContentsReader(file).read(kind, take);
}

}  // namespace model_file

ModelFile read_model_file(const std::string& path, ModelFileKind kind) {
  ModelFile model;
  const InputFile file(path);
  model_file::Contents contents =
      model_file::read_contents(file, kind, [&](NamedTensor&& tensor) { model.tensors.push_back(std::move(tensor)); });
  model.format_version = contents.header.version;
  model.kind = kind;
  model.config_json = std::move(contents.config_json);
  model.metadata_json = std::move(contents.metadata_json);
  return model;
}

}  // namespace strandline
