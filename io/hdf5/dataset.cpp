#include "io/hdf5/dataset.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/checked.hpp"
#include "core/base/error.hpp"

namespace strandline::hdf5 {
namespace {

// No chunk of zlib's or LZF's expands to more than this many times its size.
constexpr std::int64_t kLargestExpansion = 1100;

[[noreturn]] void refuse_new_layout(const Metadata& metadata) {
  throw DataError({.file = metadata.file().path()},
                  "its data are stored in a way that came with HDF5 1.10 (libver='latest'), which this program lacks",
                  "Write the file again with h5repack, or with h5py.File(..., libver='earliest')");
}

Cursor required(const Object& object, MessageType type) {
  auto message = object.find(type);
  if (!message) object.metadata().fail("a dataset without shape, type or storage");
  return std::move(*message);
}

std::size_t leading_ones(const std::vector<std::int64_t>& shape) {
  std::size_t ones = 0;
  while (shape.size() - ones > 2 && shape[ones] == 1) ++ones;
  return ones;
}

}  // namespace

Dataset::Dataset(Object object) : object_(std::move(object)) {
  Cursor type = required(object_, kDatatype);
  type_ = parse_datatype(type);
  shape_ = parse_dataspace(required(object_, kDataspace));
  element_count(object_.metadata(), shape_);
  const std::size_t ones = leading_ones(shape_);
  is_matrix_ = shape_.size() - ones <= 2;
  if (is_matrix_) {
    matrix_.rows = shape_.empty() ? 1 : shape_[ones];
    matrix_.columns = shape_.size() - ones == 2 ? shape_[ones + 1] : 1;
  }
  filters_ = parse_filters(object_.metadata(), object_.find(kFilters));
  if (is_matrix_ && matrix_.rows > 0 && matrix_.columns > 0) read_layout(required(object_, kLayout));
}

void Dataset::read_layout(Cursor layout) {
  const Metadata& metadata = object_.metadata();
  const int version = layout.u8();
  const int kind = layout.u8();
  if (version != 3 && version != 4) {
    throw DataError({.file = metadata.file().path()}, "its data are stored in a layout of before HDF5 1.6",
                    "Write the file again with h5repack");
  }
  if (kind == 2 && version == 4) refuse_new_layout(metadata);
  if (kind == 2) return read_chunked(layout);
  if (kind > 2) refuse_new_layout(metadata);
  const std::int64_t row_bytes = checked_product(matrix_.columns, type_.size_bytes);
  const std::int64_t size_bytes = checked_product(matrix_.rows, row_bytes);
  if (kind == 0) {
    is_compact_ = true;
    compact_ = layout.bytes(static_cast<std::size_t>(layout.u16()));
    if (std::ssize(compact_) < size_bytes) layout.fail("a dataset that is shorter than its shape");
    return;
  }
  address_ = layout.address();
  if (address_ == kUndefined) {
    throw DataError({.file = metadata.file().path()}, "the HDF5 file has rows that were never written",
                    "Its writer was killed or the file is truncated; make it again");
  }
  if (layout.length() < size_bytes || size_bytes > metadata.file().size_bytes())
    layout.fail("a dataset that is shorter than its shape");
}

void Dataset::read_chunked(Cursor& layout) {
  const Metadata& metadata = object_.metadata();
  const auto axes = static_cast<std::size_t>(layout.u8());
  ChunkGrid grid;
  grid.tree = layout.address();
  if (axes != shape_.size() + 1) layout.fail("chunks of another number of dimensions");
  chunk_bytes_ = type_.size_bytes;
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    grid.chunk.push_back(layout.u32());
    if (grid.chunk.back() == 0 || __builtin_mul_overflow(chunk_bytes_, grid.chunk.back(), &chunk_bytes_))
      layout.fail("chunks of impossible size");
  }
  const std::size_t ones = leading_ones(shape_);
  chunk_.rows = grid.chunk[ones];
  chunk_.columns = shape_.size() - ones == 2 ? grid.chunk[ones + 1] : 1;
  chunks_ = read_chunk_places(metadata, grid, shape_);
  for (const ChunkPlace& place : chunks_) {
    const bool plain = filters_.empty();
    const bool possible =
        plain ? place.stored_bytes == chunk_bytes_ : chunk_bytes_ / kLargestExpansion <= place.stored_bytes;
    if (!possible) layout.fail("a chunk of its data has another size than it should");
  }
}

void Dataset::read_rows(std::int64_t begin, std::int64_t count, std::byte* out) const {
  if (!is_matrix_ || begin < 0 || count < 0 || count > matrix_.rows - begin)
    throw ContractError("hdf5::Dataset: rows out of range");
  if (count == 0 || matrix_.columns == 0) return;
  const std::int64_t row_bytes = matrix_.columns * type_.size_bytes;
  if (is_compact_) {
    std::memcpy(out, compact_.data() + begin * row_bytes, static_cast<std::size_t>(count * row_bytes));
  } else if (chunk_bytes_ == 0) {
    object_.metadata().read_data(address_ + begin * row_bytes, out, static_cast<std::size_t>(count * row_bytes));
  } else {
    for (std::int64_t row = begin / chunk_.rows; row * chunk_.rows < begin + count; ++row) {
      const std::int64_t from = std::max(begin, row * chunk_.rows);
      const std::int64_t to = std::min(begin + count, (row + 1) * chunk_.rows);
      read_chunk_row(row, from, to, out + (from - begin) * row_bytes);
    }
  }
}

// Rows [begin, end), which lie in one row of chunks.
void Dataset::read_chunk_row(std::int64_t chunk_row, std::int64_t begin, std::int64_t end, std::byte* out) const {
  const std::int64_t across = ceil_div(matrix_.columns, chunk_.columns);
  const std::int64_t row_bytes = matrix_.columns * type_.size_bytes;
  const std::int64_t chunk_row_bytes = chunk_.columns * type_.size_bytes;
  const std::int64_t skipped = begin - chunk_row * chunk_.rows;
  for (std::int64_t column = 0; column < across; ++column) {
    const ChunkPlace& place = chunks_[static_cast<std::size_t>(chunk_row * across + column)];
    if (filters_.empty() && chunk_.columns == matrix_.columns) {
      object_.metadata().read_data(place.address + skipped * row_bytes, out,
                                   static_cast<std::size_t>((end - begin) * row_bytes));
      continue;
    }
    const std::vector<std::byte> bytes = unpacked(place);
    const std::int64_t used_bytes = std::min(chunk_row_bytes, row_bytes - column * chunk_row_bytes);
    for (std::int64_t row = 0; row < end - begin; ++row) {
      std::memcpy(out + row * row_bytes + column * chunk_row_bytes, bytes.data() + (skipped + row) * chunk_row_bytes,
                  static_cast<std::size_t>(used_bytes));
    }
  }
}

std::vector<std::byte> Dataset::unpacked(const ChunkPlace& place) const {
  StoredChunk stored{std::vector<std::byte>(static_cast<std::size_t>(place.stored_bytes)), place.skipped_filters};
  object_.metadata().read_data(place.address, stored.bytes.data(), stored.bytes.size());
  return undo_filters(object_.metadata(), filters_, std::move(stored), chunk_bytes_);
}

}  // namespace strandline::hdf5
