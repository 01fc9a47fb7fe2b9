#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "io/bytes/output_file.hpp"
#include "io/features/embedding_file_parts.hpp"
#include "io/hdf5/file_driver.hpp"

namespace strandline::features {
namespace {

// Large enough for fast reading, small enough to fit HDF5's cache of chunks (1 MiB), so that whole chunks pass straight
// through.
constexpr std::int64_t kChunkBytes = 1 << 18;

std::int64_t rows_per_chunk(std::int64_t row_bytes) { return std::max<std::int64_t>(1, kChunkBytes / row_bytes); }

hdf5::Handle utf8_text(std::size_t width_bytes) {
  hdf5::Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), std::max<std::size_t>(1, width_bytes));
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  return type;
}

class Hdf5Writer final : public EmbeddingWriter {
 public:
  Hdf5Writer(const std::string& path, const EmbeddingInfo& info)
      : width_(info.width),
        chunk_rows_(rows_per_chunk(width_ * static_cast<std::int64_t>(sizeof(float)))),
        output_(path),
        ids_(path),
        bytes_(output_.descriptor()) {
    const hdf5::Silence silence;
    file_ = hdf5::create_file(bytes_, 0);
    require(static_cast<bool>(file_));
    add_attribute("model_hash", info.model_hash);
    add_attribute("pooling", info.pooling);
    add_attribute("program_version", info.program_version);
    const hdf5::Handle creation = chunked({chunk_rows_, width_});
    embeddings_ = create("embeddings", H5T_IEEE_F32LE, {0, width_}, creation);
    pending_.reserve(static_cast<std::size_t>(chunk_rows_ * width_));
  }

  // A writer that failed closes its HDF5 objects in silence, too.
  ~Hdf5Writer() override {
    const hdf5::Silence silence;
    embeddings_.close();
    file_.close();
  }
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  void append(std::string_view id, std::span<const float> values) override {
    if (std::cmp_not_equal(values.size(), width_))
      throw ContractError("EmbeddingWriter: a row of another width: " + output_.path());
    require_usable_id(id, output_.path());
    ids_.append(id);
    pending_.insert(pending_.end(), values.begin(), values.end());
    if (std::cmp_equal(pending_.size(), chunk_rows_ * width_)) write_pending();
  }

  void commit() override {
    const hdf5::Silence silence;
    write_pending();
    require(embeddings_.close());
    write_ids();
    require(H5Fflush(file_.id(), H5F_SCOPE_LOCAL) >= 0);
    require(file_.close());
    output_.commit();
  }

 private:
  using Sizes = std::vector<std::int64_t>;

  static std::vector<hsize_t> hdf5_sizes(const Sizes& sizes) { return {sizes.begin(), sizes.end()}; }

  static hdf5::Handle chunked(const Sizes& chunk) {
    hdf5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), hdf5_sizes(chunk).data());
    H5Pset_obj_track_times(creation.id(), false);
    return creation;
  }

  hdf5::Handle create(const char* name, hid_t type, const Sizes& sizes, const hdf5::Handle& creation) {
    std::vector<hsize_t> limits = hdf5_sizes(sizes);
    limits[0] = H5S_UNLIMITED;
    const hdf5::Handle space(H5Screate_simple(static_cast<int>(sizes.size()), hdf5_sizes(sizes).data(), limits.data()),
                             H5Sclose);
    hdf5::Handle dataset(H5Dcreate2(file_.id(), name, type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                         H5Dclose);
    require(static_cast<bool>(dataset));
    return dataset;
  }

  void add_attribute(const char* name, const std::string& text) {
    const hdf5::Handle type = utf8_text(text.size());
    const hdf5::Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    hdf5::Handle attribute(H5Acreate2(file_.id(), name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    require(static_cast<bool>(attribute));
    require(H5Awrite(attribute.id(), type.id(), text.c_str()) >= 0);
    require(attribute.close());
  }

  // Rows [begin, begin + count) of a dataset that grows with them.
  void write_rows(const hdf5::Handle& dataset, hid_t type, std::int64_t begin, Sizes count, const void* data) {
    Sizes grown = count;
    grown[0] += begin;
    require(H5Dset_extent(dataset.id(), hdf5_sizes(grown).data()) >= 0);
    const hdf5::Handle in_file(H5Dget_space(dataset.id()), H5Sclose);
    Sizes start(count.size(), 0);
    start[0] = begin;
    const auto start_sizes = hdf5_sizes(start);
    const auto count_sizes = hdf5_sizes(count);
    require(H5Sselect_hyperslab(in_file.id(), H5S_SELECT_SET, start_sizes.data(), nullptr, count_sizes.data(),
                                nullptr) >= 0);
    const hdf5::Handle in_memory(H5Screate_simple(static_cast<int>(count.size()), count_sizes.data(), nullptr),
                                 H5Sclose);
    require(H5Dwrite(dataset.id(), type, in_memory.id(), in_file.id(), H5P_DEFAULT, data) >= 0);
  }

  void write_pending() {
    const hdf5::Silence silence;
    const std::int64_t count = static_cast<std::int64_t>(pending_.size()) / width_;
    if (count == 0) return;
    write_rows(embeddings_, H5T_IEEE_F32LE, rows_, {count, width_}, pending_.data());
    rows_ += count;
    pending_.clear();
  }

  // All ids have the width of the longest, padded with NUL and deflated: padding costs next to nothing.
  void write_ids() {
    const std::size_t width = std::max<std::size_t>(1, ids_.longest_bytes());
    const std::int64_t chunk = rows_per_chunk(static_cast<std::int64_t>(width));
    const hdf5::Handle type = utf8_text(width);
    const hdf5::Handle creation = chunked({chunk});
    H5Pset_deflate(creation.id(), 1);
    hdf5::Handle dataset = create("ids", type.id(), {0}, creation);
    ids_.rewind();
    std::string id;
    std::string padded;
    for (std::int64_t begin = 0; begin < ids_.size(); begin += chunk) {
      const std::int64_t count = std::min(chunk, ids_.size() - begin);
      padded.assign(static_cast<std::size_t>(count) * width, '\0');
      for (std::int64_t i = 0; i < count; ++i) {
        ids_.next(id);
        id.copy(padded.data() + static_cast<std::size_t>(i) * width, id.size());
      }
      write_rows(dataset, type.id(), begin, {count}, padded.data());
    }
    require(dataset.close());
  }

  void require(bool done) {
    if (bytes_.error_number() != 0) throw IoError(output_.path(), "write", bytes_.error_number());
    if (!done) throw IoError(output_.path(), "write (HDF5: " + hdf5::take_error_text() + ")", EIO);
  }

  std::int64_t width_;
  std::int64_t chunk_rows_;
  std::int64_t rows_ = 0;
  std::vector<float> pending_;
  OutputFile output_;
  IdSpool ids_;
  hdf5::FileBytes bytes_;
  hdf5::Handle file_;
  hdf5::Handle embeddings_;
};

}  // namespace

std::unique_ptr<EmbeddingWriter> make_hdf5_writer(const std::string& path, const EmbeddingInfo& info) {
  return std::make_unique<Hdf5Writer>(path, info);
}

}  // namespace strandline::features
