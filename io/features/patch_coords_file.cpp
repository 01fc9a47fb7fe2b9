#include "io/features/patch_coords_file.hpp"

#include <cerrno>
#include <cmath>

#include "core/base/error.hpp"
#include "io/bytes/output_file.hpp"
#include "io/hdf5/file_driver.hpp"

namespace strandline {
namespace {

constexpr hsize_t kChunkRows = 1024;

class CoordsFile {
 public:
  explicit CoordsFile(const std::string& path) : output_(path), bytes_(output_.descriptor()) {
    file_ = hdf5::create_file(bytes_, 0);
    require(static_cast<bool>(file_));
  }

  void write_coords(std::span<const PatchCoord> coords) {
    const hsize_t size[2] = {coords.size(), 2};
    const hsize_t limit[2] = {H5S_UNLIMITED, 2};
    const hsize_t chunk[2] = {kChunkRows, 2};
    const hdf5::Handle space(H5Screate_simple(2, size, limit), H5Sclose);
    const hdf5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_chunk(creation.id(), 2, chunk);
    H5Pset_obj_track_times(creation.id(), false);
    coords_ = hdf5::Handle(
        H5Dcreate2(file_.id(), "coords", H5T_STD_I64LE, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Dclose);
    require(static_cast<bool>(coords_));
    if (coords.empty()) return;
    require(H5Dwrite(coords_.id(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, coords.data()) >= 0);
  }

  void attribute(const char* name, std::int64_t value) { write(name, H5T_STD_I64LE, H5T_NATIVE_INT64, 0, &value); }
  void attribute(const char* name, double value) { write(name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, &value); }
  void attribute(const char* name, const std::array<std::int64_t, 2>& value) {
    write(name, H5T_STD_I64LE, H5T_NATIVE_INT64, 2, value.data());
  }
  void attribute(const char* name, const std::array<double, 2>& value) {
    write(name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, value.data());
  }
  // Of variable length: h5py gives those as str, others as bytes.
  void attribute(const char* name, const std::string& value) {
    const hdf5::Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.id(), H5T_VARIABLE);
    H5Tset_cset(type.id(), H5T_CSET_UTF8);
    const char* text = value.c_str();
    write(name, type.id(), type.id(), 0, &text);
  }
  // A whole number is an integer, as Python would have it.
  void magnification(const char* name, double value) {
    if (value <= 0.0) return;
    if (value == std::floor(value)) return attribute(name, static_cast<std::int64_t>(value));
    attribute(name, value);
  }

  void commit() {
    require(coords_.close());
    require(H5Fflush(file_.id(), H5F_SCOPE_LOCAL) >= 0);
    require(file_.close());
    output_.commit();
  }

 private:
  // count 0: a scalar.
  void write(const char* name, hid_t file_type, hid_t memory_type, hsize_t count, const void* value) {
    const hdf5::Handle space(count == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr), H5Sclose);
    hdf5::Handle attribute(H5Acreate2(coords_.id(), name, file_type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    require(static_cast<bool>(attribute));
    require(H5Awrite(attribute.id(), memory_type, value) >= 0);
    require(attribute.close());
  }

  void require(bool done) {
    if (bytes_.error_number() != 0) throw IoError(output_.path(), "write", bytes_.error_number());
    if (!done) throw IoError(output_.path(), "write (HDF5: " + hdf5::take_error_text() + ")", EIO);
  }

  const hdf5::Silence silence_;  // first: also while the handles close
  OutputFile output_;
  hdf5::FileBytes bytes_;
  hdf5::Handle file_;
  hdf5::Handle coords_;
};

}  // namespace

void write_patch_coords(const std::string& path, const PatchCoordsInfo& info, std::span<const PatchCoord> coords) {
  CoordsFile file(path);
  file.write_coords(coords);
  file.attribute("patch_size", info.patch_size);
  file.attribute("patch_size_level0", info.patch_size_level0);
  file.magnification("level0_magnification", info.level0_magnification);
  file.magnification("target_magnification", info.target_magnification);
  file.attribute("overlap", info.overlap);
  file.attribute("name", info.name);
  file.attribute("savetodir", info.save_path);
  file.attribute("level0_width", info.level0_size[0]);
  file.attribute("level0_height", info.level0_size[1]);
  file.attribute("patch_level", info.patch_level);
  file.attribute("downsample", std::array<double, 2>{info.downsample, info.downsample});
  file.attribute("level_dim", info.level_size);
  // CLAM divides level 0 by the downsample once more, and rounds down.
  const auto down = [&](std::int64_t pixels) {
    return static_cast<std::int64_t>(static_cast<double>(pixels) / info.downsample);
  };
  file.attribute("downsampled_level_dim",
                 std::array<std::int64_t, 2>{down(info.level0_size[0]), down(info.level0_size[1])});
  file.attribute("save_path", info.save_path);
  file.attribute("read_size", info.read_size);
  for (const auto& [name, value] : info.numbers) file.attribute(name.c_str(), value);
  for (const auto& [name, value] : info.texts) file.attribute(name.c_str(), value);
  file.commit();
}

}  // namespace strandline
