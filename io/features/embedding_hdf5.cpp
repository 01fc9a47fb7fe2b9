#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "io/features/embedding_file_parts.hpp"
#include "io/hdf5/file_writer.hpp"

namespace strandline::features {
namespace {

class Hdf5Writer final : public EmbeddingWriter {
 public:
  Hdf5Writer(const std::string& path, const EmbeddingInfo& info)
      : width_(info.width),
        chunk_rows_(hdf5::rows_per_chunk(width_ * static_cast<std::int64_t>(sizeof(float)))),
        file_(path),
        ids_(path) {
    file_.add_text(file_.file(), "model_hash", info.model_hash);
    file_.add_text(file_.file(), "pooling", info.pooling);
    file_.add_text(file_.file(), "program_version", info.program_version);
    embeddings_ = file_.create("embeddings", H5T_IEEE_F32LE, std::array{width_}, chunk_rows_);
    pending_.reserve(static_cast<std::size_t>(chunk_rows_ * width_));
  }

  // A writer that failed closes its HDF5 objects in silence, too.
  ~Hdf5Writer() override {
    const hdf5::Silence silence;
    embeddings_.close();
  }
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  void append(std::string_view id, std::span<const float> values) override {
    if (std::cmp_not_equal(values.size(), width_))
      throw ContractError("EmbeddingWriter: a row of another width: " + file_.path());
    require_usable_id(id, file_.path());
    ids_.append(id);
    pending_.insert(pending_.end(), values.begin(), values.end());
    if (std::cmp_equal(pending_.size(), chunk_rows_ * width_)) write_pending();
  }

  void commit() override {
    const hdf5::Silence silence;
    write_pending();
    file_.require(embeddings_.close());
    write_ids();
    file_.commit();
  }

 private:
  void write_pending() {
    const std::int64_t count = static_cast<std::int64_t>(pending_.size()) / width_;
    if (count == 0) return;
    file_.write_rows(embeddings_, H5T_IEEE_F32LE, rows_, count, pending_.data());
    rows_ += count;
    pending_.clear();
  }

  // All ids have the width of the longest, padded with NUL and deflated: padding costs next to nothing.
  void write_ids() {
    const std::size_t width = std::max<std::size_t>(1, ids_.longest_bytes());
    const std::int64_t chunk = hdf5::rows_per_chunk(static_cast<std::int64_t>(width));
    const hdf5::Handle type = hdf5::text_type(width);
    hdf5::Handle dataset = file_.create("ids", type.id(), {}, chunk, hdf5::Packing::deflated);
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
      file_.write_rows(dataset, type.id(), begin, count, padded.data());
    }
    file_.require(dataset.close());
  }

  std::int64_t width_;
  std::int64_t chunk_rows_;
  std::int64_t rows_ = 0;
  std::vector<float> pending_;
  hdf5::FileWriter file_;
  IdSpool ids_;
  hdf5::Handle embeddings_;
};

}  // namespace

std::unique_ptr<EmbeddingWriter> make_hdf5_writer(const std::string& path, const EmbeddingInfo& info) {
  return std::make_unique<Hdf5Writer>(path, info);
}

}  // namespace strandline::features
