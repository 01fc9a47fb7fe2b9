#include "core/base/checked.hpp"
#include "core/base/error.hpp"
#include "io/hdf5/dataset.hpp"

namespace strandline::hdf5 {
namespace {

constexpr int kDeepestTree = 16;

class ChunkTree {
 public:
  ChunkTree(const Metadata& metadata, const ChunkGrid& grid, const std::vector<std::int64_t>& shape)
      : metadata_(metadata), grid_(grid) {
    // Each chunk has an entry of its own in the tree.
    const std::int64_t most = metadata.file().size_bytes() / entry_bytes();
    std::int64_t count = 1;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      counts_.push_back(ceil_div(shape[axis], grid.chunk[axis]));
      if (__builtin_mul_overflow(count, counts_.back(), &count)) count = most + 1;
    }
    if (count > most) {
      throw DataError({.file = metadata.file().path()}, "the HDF5 file has rows that were never written",
                      "Its writer was killed or the file is truncated; make it again");
    }
    places_.resize(static_cast<std::size_t>(count));
  }

  std::vector<ChunkPlace> take() {
    if (!places_.empty() && grid_.tree != kUndefined) visit(grid_.tree, -1);
    std::int64_t stored_bytes = 0;
    for (const ChunkPlace& place : places_) {
      if (place.address == kUndefined) {
        throw DataError({.file = metadata_.file().path()}, "the HDF5 file has rows that were never written",
                        "Its writer was killed or the file is truncated; make it again");
      }
      stored_bytes += place.stored_bytes;
    }
    if (stored_bytes > metadata_.file().size_bytes()) metadata_.fail("chunks of its data overlap");
    return std::move(places_);
  }

 private:
  std::int64_t key_bytes() const { return 8 + 8 * (std::ssize(grid_.chunk) + 1); }
  std::int64_t entry_bytes() const { return key_bytes() + metadata_.superblock().address_bytes; }

  void visit(std::int64_t address, int level) {
    const std::int64_t head_bytes = 8 + 2 * metadata_.superblock().address_bytes;
    Cursor head = metadata_.read(address, head_bytes);
    head.expect("TREE");
    if (head.u8() != 1) head.fail("a tree of another kind was expected here");
    const int own_level = head.u8();
    if (own_level > kDeepestTree || (level >= 0 && own_level != level)) head.fail("a tree of impossible depth");
    const int count = head.u16();
    Cursor entries = metadata_.read(address + head_bytes, count * entry_bytes());
    for (int i = 0; i < count; ++i) {
      const std::int64_t stored_bytes = entries.u32();
      const auto skipped_filters = static_cast<std::uint32_t>(entries.u32());
      std::vector<std::uint64_t> offsets;
      for (std::size_t axis = 0; axis <= grid_.chunk.size(); ++axis) offsets.push_back(entries.number(8));
      const std::int64_t child = entries.address();
      if (own_level > 0) {
        visit(child, own_level - 1);
      } else {
        place(entries, offsets, {child, stored_bytes, skipped_filters});
      }
    }
  }

  void place(const Cursor& where, const std::vector<std::uint64_t>& offsets, const ChunkPlace& place) {
    std::size_t index = 0;
    for (std::size_t axis = 0; axis < grid_.chunk.size(); ++axis) {
      const auto size = static_cast<std::uint64_t>(grid_.chunk[axis]);
      const std::uint64_t at = offsets[axis] / size;
      if (offsets[axis] % size != 0) where.fail("a chunk that is not where chunks can be");
      if (at >= static_cast<std::uint64_t>(counts_[axis])) return;  // left behind when the dataset was made smaller
      index = index * static_cast<std::size_t>(counts_[axis]) + static_cast<std::size_t>(at);
    }
    if (places_[index].address != kUndefined) where.fail("a chunk that is there twice");
    places_[index] = place;
  }

  const Metadata& metadata_;
  const ChunkGrid& grid_;
  std::vector<std::int64_t> counts_;
  std::vector<ChunkPlace> places_;
};

}  // namespace

std::vector<ChunkPlace> read_chunk_places(const Metadata& metadata, const ChunkGrid& grid,
                                          const std::vector<std::int64_t>& shape) {
  return ChunkTree(metadata, grid, shape).take();
}

}  // namespace strandline::hdf5
