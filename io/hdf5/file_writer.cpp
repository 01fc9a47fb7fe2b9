#include "io/hdf5/file_writer.hpp"

#include <algorithm>
#include <cerrno>

#include "core/base/error.hpp"

namespace strandline::hdf5 {
namespace {

constexpr std::int64_t kChunkBytes = 1 << 18;

// A list of one is a scalar, as h5py writes plain numbers.
Handle space_of(std::size_t values) {
  if (values == 1) return {H5Screate(H5S_SCALAR), H5Sclose};
  const auto size = static_cast<hsize_t>(values);
  return {H5Screate_simple(1, &size, nullptr), H5Sclose};
}

// A type of HDF5's own, copied so that a Handle may close it.
Handle own(hid_t type) { return {H5Tcopy(type), H5Tclose}; }

std::vector<hsize_t> sizes_of(const Handle& dataset) {
  const Handle space(H5Dget_space(dataset.id()), H5Sclose);
  std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.id()))));
  H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr);
  return sizes;
}

}  // namespace

std::int64_t rows_per_chunk(std::int64_t row_bytes) { return std::max<std::int64_t>(1, kChunkBytes / row_bytes); }

Handle text_type(std::size_t width_bytes) {
  Handle type = own(H5T_C_S1);
  H5Tset_size(type.id(), std::max<std::size_t>(1, width_bytes));
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  return type;
}

FileWriter::FileWriter(const std::string& path) : output_(path), bytes_(output_.descriptor()) {
  const Silence silence;
  file_ = create_file(bytes_, 0);
  require(static_cast<bool>(file_));
}

FileWriter::~FileWriter() {
  const Silence silence;
  file_.close();
}

Handle FileWriter::create(const char* name, hid_t type, std::span<const std::int64_t> row, std::int64_t chunk_rows,
                          Packing packing) {
  const Silence silence;
  std::vector<hsize_t> sizes{0};
  sizes.insert(sizes.end(), row.begin(), row.end());
  std::vector<hsize_t> limits = sizes;
  limits[0] = H5S_UNLIMITED;
  std::vector<hsize_t> chunk = sizes;
  chunk[0] = static_cast<hsize_t>(chunk_rows);
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data());
  H5Pset_obj_track_times(creation.id(), false);
  if (packing == Packing::deflated) H5Pset_deflate(creation.id(), 1);
  const Handle space(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), limits.data()), H5Sclose);
  Handle dataset(H5Dcreate2(file_.id(), name, type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Dclose);
  require(static_cast<bool>(dataset));
  return dataset;
}

void FileWriter::write_rows(const Handle& dataset, hid_t type, std::int64_t begin, std::int64_t count,
                            const void* data) {
  const Silence silence;
  std::vector<hsize_t> sizes = sizes_of(dataset);
  require(!sizes.empty());
  sizes[0] = static_cast<hsize_t>(begin + count);
  require(H5Dset_extent(dataset.id(), sizes.data()) >= 0);
  const Handle in_file(H5Dget_space(dataset.id()), H5Sclose);
  std::vector<hsize_t> start(sizes.size(), 0);
  start[0] = static_cast<hsize_t>(begin);
  sizes[0] = static_cast<hsize_t>(count);
  require(H5Sselect_hyperslab(in_file.id(), H5S_SELECT_SET, start.data(), nullptr, sizes.data(), nullptr) >= 0);
  const Handle in_memory(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose);
  require(H5Dwrite(dataset.id(), type, in_memory.id(), in_file.id(), H5P_DEFAULT, data) >= 0);
}

void FileWriter::add(const Handle& object, const char* name, const Handle& type, const Handle& space,
                     const void* data) {
  Handle attribute(H5Acreate2(object.id(), name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  require(static_cast<bool>(attribute));
  require(H5Awrite(attribute.id(), type.id(), data) >= 0);
  require(attribute.close());
}

void FileWriter::add_text(const Handle& object, const char* name, const std::string& text) {
  const Silence silence;
  add(object, name, text_type(text.size()), space_of(1), text.c_str());
}

void FileWriter::add_integers(const Handle& object, const char* name, std::span<const std::int64_t> values) {
  const Silence silence;
  add(object, name, own(H5T_STD_I64LE), space_of(values.size()), values.data());
}

void FileWriter::add_numbers(const Handle& object, const char* name, std::span<const double> values) {
  const Silence silence;
  add(object, name, own(H5T_IEEE_F64LE), space_of(values.size()), values.data());
}

void FileWriter::commit() {
  const Silence silence;
  require(H5Fflush(file_.id(), H5F_SCOPE_LOCAL) >= 0);
  require(file_.close());
  output_.commit();
}

void FileWriter::require(bool done) {
  if (bytes_.error_number() != 0) throw IoError(output_.path(), "write", bytes_.error_number());
  if (!done) throw IoError(output_.path(), "write (HDF5: " + take_error_text() + ")", EIO);
}

}  // namespace strandline::hdf5
