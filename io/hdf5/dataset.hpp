// Numbers of a foreign HDF5 dataset, by rows. Internal to io.
#pragma once

#include <cstdint>
#include <vector>

#include "io/hdf5/filters.hpp"
#include "io/hdf5/object.hpp"

namespace strandline::hdf5 {

/// Where the bytes of a dataset are. Chunked storage: in the order of the grid, rows of chunks first.
struct ChunkPlace {
  std::int64_t address = kUndefined;
  std::int64_t stored_bytes = 0;
  std::uint32_t skipped_filters = 0;
};

struct ChunkGrid {
  std::vector<std::int64_t> chunk;  ///< sizes of a chunk, one per axis of the file
  std::int64_t tree = kUndefined;   ///< address of the tree that says where chunks are
};

/// Sizes of the matrix that a dataset is, when leading axes of one element are left out: (1, N, D) is N x D, (N,) N
/// x 1.
struct MatrixShape {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

/// All chunks of the grid. @throws DataError when one is missing (a writer was killed), twice there, or all together
/// are larger than the file.
std::vector<ChunkPlace> read_chunk_places(const Metadata& metadata, const ChunkGrid& grid,
                                          const std::vector<std::int64_t>& shape);

/// Storage: compact, contiguous, or chunks found by a version-1 tree, which is what HDF5 writes unless told that
/// readers are 1.10 or newer. Others are refused with the cure. Before memory is asked for, sizes are checked against
/// the file's. One thread at a time.
class Dataset {
 public:
  /// @throws DataError.
  explicit Dataset(Object object);

  const Object& object() const { return object_; }
  const ElementType& type() const { return type_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  bool is_matrix() const { return is_matrix_; }
  MatrixShape matrix() const { return matrix_; }

  /// Rows [begin, begin + count) of the matrix, packed. @throws DataError, ContractError out of range.
  void read_rows(std::int64_t begin, std::int64_t count, std::byte* out) const;

 private:
  void read_layout(Cursor layout);
  void read_chunked(Cursor& layout);
  void read_chunk_row(std::int64_t chunk_row, std::int64_t begin, std::int64_t end, std::byte* out) const;
  std::vector<std::byte> unpacked(const ChunkPlace& place) const;

  Object object_;
  ElementType type_;
  std::vector<std::int64_t> shape_;
  bool is_matrix_ = false;
  MatrixShape matrix_;
  std::vector<Filter> filters_;
  std::vector<std::byte> compact_;
  bool is_compact_ = false;
  std::int64_t address_ = kUndefined;  ///< of contiguous storage
  std::vector<ChunkPlace> chunks_;
  MatrixShape chunk_;             ///< of the matrix
  std::int64_t chunk_bytes_ = 0;  ///< of a whole chunk; 0: not chunked
};

}  // namespace strandline::hdf5
