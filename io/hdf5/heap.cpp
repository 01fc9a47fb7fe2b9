#include <algorithm>
#include <bit>
#include <utility>

#include "core/base/error.hpp"
#include "io/hdf5/object.hpp"

namespace strandline::hdf5 {
namespace {

// A doubling table: rows of `width` blocks; the first two rows have blocks of `first_bytes`, each later row twice that.
struct FractalHeap {
  std::int64_t address = 0;
  int width = 0;
  std::int64_t first_bytes = 0;
  std::int64_t most_direct_bytes = 0;
  int offset_bits = 0;
  std::int64_t root = kUndefined;
  int root_rows = 0;
  int identifier_bytes = 0;
  std::int64_t most_object_bytes = 0;

  std::int64_t offset_bytes() const { return (offset_bits + 7) / 8; }
  int length_bytes() const {
    const auto bytes_for = [](std::int64_t most) { return (std::bit_width(static_cast<std::uint64_t>(most)) + 7) / 8; };
    return std::min(bytes_for(most_direct_bytes - 1), bytes_for(most_object_bytes));
  }
};

[[noreturn]] void refuse_large(const Metadata& metadata, const std::string& what) {
  throw DataError({.file = metadata.file().path()}, "the HDF5 file has " + what + ", more than this program reads",
                  "Write the file again with fewer attributes or members, or with h5py.File(..., libver='earliest')");
}

FractalHeap read_fractal_heap(const Metadata& metadata, std::int64_t address) {
  const Superblock& superblock = metadata.superblock();
  const std::int64_t header_bytes = 22 + 12 * superblock.length_bytes + 3 * superblock.address_bytes;
  Cursor header = metadata.read(address, header_bytes);
  header.expect("FRHP");
  FractalHeap heap;
  heap.address = address;
  header.skip(1);
  heap.identifier_bytes = header.u16();
  if (header.u16() != 0) refuse_large(metadata, "a compressed heap");
  header.skip(1);
  heap.most_object_bytes = header.u32();
  header.skip(static_cast<std::size_t>(10 * superblock.length_bytes + 2 * superblock.address_bytes));
  heap.width = header.u16();
  heap.first_bytes = header.length();
  heap.most_direct_bytes = header.length();
  heap.offset_bits = header.u16();
  header.skip(2);
  heap.root = header.address();
  heap.root_rows = header.u16();
  const bool sound = heap.width > 0 && heap.first_bytes > 0 && heap.most_direct_bytes >= heap.first_bytes &&
                     heap.most_direct_bytes <= (std::int64_t{1} << 40) && heap.offset_bits > 0 &&
                     heap.offset_bits <= 64;
  if (!sound) header.fail("a heap of impossible sizes");
  return heap;
}

struct Block {
  std::int64_t address = kUndefined;
  std::int64_t begin = 0;  ///< place in the heap's own space
  std::int64_t size_bytes = 0;
};

std::vector<Block> direct_blocks(const Metadata& metadata, const FractalHeap& heap) {
  if (heap.root_rows == 0) return {{heap.root, 0, heap.first_bytes}};
  const Superblock& superblock = metadata.superblock();
  const std::int64_t head_bytes = 5 + superblock.address_bytes + heap.offset_bytes();
  const std::int64_t children = std::int64_t{heap.root_rows} * heap.width;
  Cursor table = metadata.read(heap.root, head_bytes + children * superblock.address_bytes);
  table.expect("FHIB");
  table.skip(static_cast<std::size_t>(head_bytes - 4));
  std::vector<Block> blocks;
  std::int64_t begin = 0;
  std::int64_t size_bytes = heap.first_bytes;
  for (int row = 0; row < heap.root_rows; ++row) {
    if (row > 1) size_bytes *= 2;
    if (size_bytes > heap.most_direct_bytes) refuse_large(metadata, "a heap of several levels");
    for (int column = 0; column < heap.width; ++column, begin += size_bytes) {
      blocks.push_back({table.address(), begin, size_bytes});
    }
  }
  return blocks;
}

Cursor object_at(const Metadata& metadata, const FractalHeap& heap, const std::vector<Block>& blocks,
                 Cursor identifier) {
  if ((identifier.u8() & 0x30) != 0) refuse_large(metadata, "objects outside of their heap");
  const auto offset = static_cast<std::int64_t>(identifier.number(static_cast<int>(heap.offset_bytes())));
  const auto size_bytes = static_cast<std::int64_t>(identifier.number(heap.length_bytes()));
  for (const Block& block : blocks) {
    const bool inside = block.address != kUndefined && offset >= block.begin && offset - block.begin < block.size_bytes;
    if (!inside) continue;
    if (size_bytes > block.size_bytes - (offset - block.begin)) break;
    return metadata.read(block.address + (offset - block.begin), size_bytes);
  }
  metadata.fail("an object outside of its heap");
}

}  // namespace

std::vector<Cursor> heap_objects(const Metadata& metadata, std::int64_t heap_address, std::int64_t tree_address,
                                 std::size_t id_offset) {
  const Superblock& superblock = metadata.superblock();
  Cursor tree = metadata.read(tree_address, 22 + superblock.address_bytes + superblock.length_bytes);
  tree.expect("BTHD");
  tree.skip(6);
  const auto record_bytes = static_cast<std::size_t>(tree.u16());
  const int depth = tree.u16();
  tree.skip(2);
  const std::int64_t root = tree.address();
  const int count = tree.u16();
  if (depth != 0) refuse_large(metadata, "a large index of names");
  std::vector<Cursor> objects;
  if (root == kUndefined || count == 0) return objects;
  const FractalHeap heap = read_fractal_heap(metadata, heap_address);
  const std::vector<Block> blocks = direct_blocks(metadata, heap);
  const auto identifier_bytes = static_cast<std::size_t>(heap.identifier_bytes);
  if (record_bytes < id_offset + identifier_bytes) tree.fail("records that are shorter than their identifiers");
  Cursor leaf = metadata.read(root, 6 + count * static_cast<std::int64_t>(record_bytes));
  leaf.expect("BTLF");
  leaf.skip(2);
  for (int i = 0; i < count; ++i) {
    Cursor record = leaf.piece(record_bytes);
    record.skip(id_offset);
    objects.push_back(object_at(metadata, heap, blocks, record.piece(identifier_bytes)));
  }
  return objects;
}

std::string variable_text(const Metadata& metadata, Cursor& cursor) {
  const Superblock& superblock = metadata.superblock();
  const std::int64_t text_bytes = cursor.u32();
  const std::int64_t address = cursor.address();
  const std::int64_t index = cursor.u32();
  if (text_bytes == 0) return {};
  const std::int64_t head_bytes = 8 + superblock.length_bytes;
  Cursor head = metadata.read(address, head_bytes);
  head.expect("GCOL");
  head.skip(4);
  const std::int64_t collection_bytes = head.length();
  if (collection_bytes < head_bytes) head.fail("a heap that is shorter than its header");
  Cursor objects = metadata.read(address + head_bytes, collection_bytes - head_bytes);
  while (objects.remaining() >= static_cast<std::size_t>(8 + superblock.length_bytes)) {
    const int own_index = objects.u16();
    objects.skip(6);
    const std::int64_t size_bytes = objects.length();
    if (own_index == 0) break;  // free space up to the end
    if (own_index == index) {
      if (text_bytes > size_bytes) objects.fail("a text that is longer than its place");
      return objects.text(static_cast<std::size_t>(text_bytes));
    }
    if (std::cmp_greater(size_bytes, objects.remaining())) objects.fail("an object that is longer than its heap");
    objects.skip(std::min(objects.remaining(), static_cast<std::size_t>((size_bytes + 7) / 8 * 8)));
  }
  head.fail("a text that is not in its heap");
}

}  // namespace strandline::hdf5
