#include <algorithm>
#include <array>
#include <utility>

#include "io/hdf5/object.hpp"

namespace strandline::hdf5 {
namespace {

using Members = std::map<std::string, std::int64_t>;

constexpr int kDeepestTree = 16;

// The names of a group of the first kind, end to end, each closed by a NUL.
std::string read_local_heap(const Metadata& metadata, std::int64_t address) {
  const Superblock& superblock = metadata.superblock();
  Cursor header = metadata.read(address, 8 + 2 * superblock.length_bytes + superblock.address_bytes);
  header.expect("HEAP");
  header.skip(4);
  const std::int64_t size_bytes = header.length();
  header.skip(static_cast<std::size_t>(superblock.length_bytes));  // of its free space
  const std::int64_t data = header.address();
  return metadata.read(data, size_bytes).text(static_cast<std::size_t>(size_bytes));
}

void read_symbols(const Metadata& metadata, std::int64_t address, const std::string& names, Members& members) {
  const Superblock& superblock = metadata.superblock();
  Cursor head = metadata.read(address, 8);
  head.expect("SNOD");
  head.skip(2);
  const int count = head.u16();
  const std::int64_t entry_bytes = 2 * superblock.address_bytes + 24;
  Cursor entries = metadata.read(address + 8, count * entry_bytes);
  for (int i = 0; i < count; ++i) {
    const std::int64_t name_at = entries.address();
    const std::int64_t header = entries.address();
    const std::int64_t cache = entries.u32();
    entries.skip(20);
    if (cache == 2) continue;  // a soft link
    if (name_at < 0 || name_at >= std::ssize(names)) entries.fail("a name outside of its heap");
    const auto begin = static_cast<std::size_t>(name_at);
    const std::size_t end = names.find('\0', begin);
    if (end == std::string::npos) entries.fail("a name without an end");
    members.emplace(names.substr(begin, end - begin), header);
  }
}

void read_symbol_tree(const Metadata& metadata, std::int64_t address, int level, const std::string& names,
                      Members& members) {
  const Superblock& superblock = metadata.superblock();
  Cursor head = metadata.read(address, 8 + 2 * superblock.address_bytes);
  head.expect("TREE");
  if (head.u8() != 0) head.fail("a tree of another kind was expected here");
  const int own_level = head.u8();
  if (own_level > kDeepestTree || (level >= 0 && own_level != level)) head.fail("a tree of impossible depth");
  const int count = head.u16();
  const std::int64_t entry_bytes = superblock.length_bytes + superblock.address_bytes;
  Cursor entries = metadata.read(address + 8 + 2 * superblock.address_bytes, count * entry_bytes);
  for (int i = 0; i < count; ++i) {
    entries.skip(static_cast<std::size_t>(superblock.length_bytes));
    const std::int64_t child = entries.address();
    if (own_level > 0) {
      read_symbol_tree(metadata, child, own_level - 1, names, members);
    } else {
      read_symbols(metadata, child, names, members);
    }
  }
}

void read_link(Cursor link, Members& members) {
  if (const int version = link.u8(); version != 1) link.fail("a link of version " + std::to_string(version));
  const int flags = link.u8();
  const int kind = (flags & 8) != 0 ? link.u8() : 0;
  if ((flags & 4) != 0) link.skip(8);
  if ((flags & 16) != 0) link.skip(1);
  const std::uint64_t name_bytes = link.number(1 << (flags & 3));
  if (name_bytes > link.remaining()) link.fail("a name that is longer than its link");
  std::string name = link.text(static_cast<std::size_t>(name_bytes));
  if (kind == 0) members.emplace(std::move(name), link.address());
}

}  // namespace

Members members_of(const Object& group) {
  const Metadata& metadata = group.metadata();
  Members members;
  if (auto table = group.find(kSymbolTable)) {
    const std::int64_t tree = table->address();
    const std::int64_t heap = table->address();
    read_symbol_tree(metadata, tree, -1, read_local_heap(metadata, heap), members);
  }
  for (Cursor& link : group.all(kLink)) read_link(std::move(link), members);
  if (auto info = group.find(kLinkInfo)) {
    info->skip(1);
    if ((info->u8() & 1) != 0) info->skip(8);
    const std::int64_t heap = info->address();
    const std::int64_t tree = info->address();
    constexpr std::size_t kHashBytes = 4;
    if (heap != kUndefined) {
      for (Cursor& link : heap_objects(metadata, heap, tree, kHashBytes)) read_link(std::move(link), members);
    }
  }
  return members;
}

}  // namespace strandline::hdf5
