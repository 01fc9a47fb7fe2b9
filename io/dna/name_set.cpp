#include "io/dna/name_set.hpp"

#include <functional>

namespace strandline {
namespace {

constexpr std::uint64_t kOffsetMask = 0xffffffffULL;

// std::hash of libstdc++ is good; other libraries may not mix, so finish with a multiply and a fold.
std::uint64_t hash_of(std::string_view name) {
  std::uint64_t hash = std::hash<std::string_view>{}(name)*0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 29);
}

std::string_view name_at(const std::string& text, std::uint64_t slot) {
  const std::size_t begin = static_cast<std::size_t>(slot & kOffsetMask) - 1;
  return std::string_view(text).substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

NameSet::NameSet() : slots_(1024) {}

bool NameSet::insert(std::string_view name) {
  const std::uint64_t hash = hash_of(name);
  std::size_t index = hash & (slots_.size() - 1);
  for (; slots_[index] != 0; index = (index + 1) & (slots_.size() - 1)) {
    if ((slots_[index] ^ hash) >> 32 == 0 && name_at(text_, slots_[index]) == name) return false;
  }
  if (size_ == kMaxNames || text_.size() + name.size() >= kMaxTextBytes) return true;
  slots_[index] = (hash & ~kOffsetMask) | (text_.size() + 1);
  text_.append(name).push_back('\n');
  if (2 * ++size_ > slots_.size()) rehash();
  return true;
}

void NameSet::rehash() {
  std::vector<std::uint64_t> old(2 * slots_.size());
  old.swap(slots_);
  for (const std::uint64_t slot : old) {
    if (slot == 0) continue;
    std::size_t index = hash_of(name_at(text_, slot)) & (slots_.size() - 1);
    while (slots_[index] != 0) index = (index + 1) & (slots_.size() - 1);
    slots_[index] = slot;
  }
}

}  // namespace strandline
