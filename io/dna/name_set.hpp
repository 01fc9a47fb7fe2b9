// Names already seen in a file, to refuse the second record of the same name. Private to io.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strandline {

/// An exact set of names in bounded memory: it remembers the first kMaxNames names or kMaxTextBytes of them, whichever
/// comes first (about 128 MiB at most), and still finds those after that; names first seen later are not remembered.
class NameSet {
 public:
  static constexpr std::size_t kMaxNames = std::size_t{1} << 22;
  static constexpr std::size_t kMaxTextBytes = std::size_t{1} << 26;

  NameSet();
  /// False when the name was there already.
  bool insert(std::string_view name);
  std::size_t size() const { return size_; }

 private:
  void rehash();

  // Names end to end, each behind a line feed, which no name holds.
  std::string text_;
  // Open addressing; 0 is free, otherwise 1 + the offset of the name in text_ below the top 32 bits of its hash.
  std::vector<std::uint64_t> slots_;
  std::size_t size_ = 0;
};

}  // namespace strandline
