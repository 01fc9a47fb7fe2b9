#include <fmt/format.h>

#include <bit>
#include <cerrno>
#include <unordered_set>

#include "core/base/error.hpp"
#include "io/bytes/checksum.hpp"
#include "io/bytes/output_file.hpp"
#include "io/hdf5/file_driver.hpp"
#include "io/model_file/model_file_parts.hpp"

namespace strandline {
namespace model_file {
namespace {

void require_writable(const ModelFile& model) {
  if (model.format_version != kModelFormatVersion) {
    throw ContractError(
        fmt::format("write_model_file: writes format version {}, not {}", kModelFormatVersion, model.format_version));
  }
  if (model.tensors.size() > kMaxTensors) throw ContractError("write_model_file: more than 100,000 tensors");
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& tensor : model.tensors) {
    require_consistent(tensor);
    if (!is_usable_name(tensor.name))
      throw ContractError("write_model_file: '" + tensor.name + "' cannot be a tensor's name");
    if (!names.insert(tensor.name).second)
      throw ContractError("write_model_file: the tensor '" + tensor.name + "' is there twice");
    if (tensor.shape.size() > kMaxRank)
      throw ContractError("write_model_file: the tensor '" + tensor.name + "' has too many axes");
    const std::int64_t at = first_non_finite(tensor);
    if (at >= 0) {
      throw NumericError(
          fmt::format("the tensor '{}' is not finite at element {}; nothing was written", tensor.name, at));
    }
  }
}

// Bytes go to the file as they lie in memory: HDF5 converts slowly, and rounds ties of bfloat16 upwards.
static_assert(std::endian::native == std::endian::little);

// bf16 is a float of 16 bits, which h5py reads as float32.
hdf5::Handle make_type(DType dtype) {
  const auto copy_of = [](hid_t type) { return hdf5::Handle(H5Tcopy(type), H5Tclose); };
  switch (dtype) {
    case DType::f32: return copy_of(H5T_IEEE_F32LE);
    case DType::f64: return copy_of(H5T_IEEE_F64LE);
    case DType::i32: return copy_of(H5T_STD_I32LE);
    case DType::i64: return copy_of(H5T_STD_I64LE);
    case DType::u8: return copy_of(H5T_STD_U8LE);
    case DType::bf16: {
      hdf5::Handle type = copy_of(H5T_IEEE_F32LE);
      H5Tset_fields(type.id(), 15, 7, 8, 0, 7);  // sign; exponent of 8 bits with the bias of float; mantissa of 7
      H5Tset_size(type.id(), 2);
      return type;
    }
  }
  throw ContractError("write_model_file: unknown element type");
}

// Puts datasets into one new HDF5 file and keeps the manifest.
class ContentsWriter {
 public:
  explicit ContentsWriter(const OutputFile& output)
      : path_(output.path()), bytes_(output.descriptor()), file_(hdf5::create_file(bytes_, kHeaderBytes)) {
    require(static_cast<bool>(file_));
  }

  /// Gives the header, complete but for the size and the checksum of the file.
  Header write(const ModelFile& model) {
    add_text(kConfig, model.config_json);
    add_text(kMetadata, model.metadata_json);
    hdf5::Handle creation(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
    H5Pset_obj_track_times(creation.id(), false);
    hdf5::Handle group(H5Gcreate2(file_.id(), kTensors, H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Gclose);
    require(static_cast<bool>(group));
    for (const NamedTensor& tensor : model.tensors) {
      add({.dataset = std::string(kTensors) + '/' + tensor.name, .dtype = tensor.dtype, .shape = tensor.shape},
          tensor.data.data(), tensor.data.size());
    }
    require(group.close());
    const std::string text = to_text(manifest_);
    add_text(kManifest, text);
    require(H5Fflush(file_.id(), H5F_SCOPE_LOCAL) >= 0);
    require(file_.close());
    return {.kind = model.kind,
            .manifest_offset = manifest_.back().offset,
            .manifest_bytes = static_cast<std::int64_t>(text.size()),
            .manifest_checksum = manifest_.back().checksum};
  }

 private:
  void add_text(const char* dataset, std::string_view text) {
    add({.dataset = dataset, .dtype = DType::u8, .shape = {static_cast<std::int64_t>(text.size())}}, text.data(),
        text.size());
  }

  void add(ManifestEntry entry, const void* data, std::size_t size_bytes) {
    const std::vector<hsize_t> sizes(entry.shape.begin(), entry.shape.end());
    const hdf5::Handle space(
        sizes.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr),
        H5Sclose);
    const hdf5::Handle type = make_type(entry.dtype);
    const hdf5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_layout(creation.id(), H5D_CONTIGUOUS);
    H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(creation.id(), false);  // the same model gives the same bytes, whenever it is written
    const hdf5::Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_char_encoding(links.id(), H5T_CSET_UTF8);
    hdf5::Handle dataset(
        H5Dcreate2(file_.id(), entry.dataset.c_str(), type.id(), space.id(), links.id(), creation.id(), H5P_DEFAULT),
        H5Dclose);
    require(static_cast<bool>(dataset));
    if (size_bytes > 0) require(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    if (size_bytes > 0) entry.offset = static_cast<std::int64_t>(H5Dget_offset(dataset.id()));
    require(dataset.close());
    entry.checksum = crc32c(data, size_bytes);
    manifest_.push_back(std::move(entry));
  }

  void require(bool done) {
    if (bytes_.error_number() != 0) throw IoError(path_, "write", bytes_.error_number());
    if (!done) throw IoError(path_, "write (HDF5: " + hdf5::take_error_text() + ")", EIO);
  }

  hdf5::Silence silence_;
  std::string path_;
  hdf5::FileBytes bytes_;
  hdf5::Handle file_;
  std::vector<ManifestEntry> manifest_;
};

void seal(OutputFile& output, Header header) {
  const InputFile written(output.path(), output.descriptor());
  header.file_bytes = written.size_bytes();
  header.body_checksum = checksum_of_body(written);
  const auto block = encode(header);
  output.overwrite(0, block.data(), block.size());
}

// Reads everything back. The checksums in the manifest are those of what was in memory.
void verify(const OutputFile& output, const ModelFile& model) {
  try {
    const InputFile written(output.path(), output.descriptor());
    std::size_t seen = 0;
    read_contents(written, model.kind, [&](NamedTensor&&) { ++seen; });
    if (seen == model.tensors.size()) return;
  } catch (const DataError&) {
  }
  throw IoError(output.path(), "read back what was written", EIO);
}

}  // namespace
}  // namespace model_file

void write_model_file(const std::string& path, const ModelFile& model) {
  if (path == "-") throw IoError("standard output", "write a model file", ESPIPE);
  model_file::require_writable(model);
  OutputFile output(path);
  model_file::seal(output, model_file::ContentsWriter(output).write(model));
  model_file::verify(output, model);
  output.commit();
}

}  // namespace strandline
