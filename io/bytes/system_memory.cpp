#include "io/bytes/system_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace strandline {
namespace {

constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::max();

std::int64_t free_on_machine() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::int64_t kibibytes = 0;
  std::string unit;
  while (file >> key >> kibibytes) {
    if (key == "MemAvailable:") return kibibytes * 1024;
    std::getline(file, unit);
  }
  return kUnknown;
}

// A file with one number; nothing when it is missing or says "max".
std::optional<std::int64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

std::int64_t left_in_group(const std::string& limit_file, const std::string& usage_file) {
  const auto limit = read_number(limit_file);
  const auto usage = read_number(usage_file);
  return limit && usage ? std::max<std::int64_t>(*limit - *usage, 0) : kUnknown;
}

// The process's own group in the unified hierarchy: the line "0::/path".
std::string own_group() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return {};
}

std::int64_t left_in_groups() {
  const std::string root = "/sys/fs/cgroup";
  std::int64_t left = left_in_group(root + "/memory/memory.limit_in_bytes", root + "/memory/memory.usage_in_bytes");
  // A limit may sit on any level above.
  for (std::string group = own_group();; group.erase(group.rfind('/'))) {
    left = std::min(left, left_in_group(root + group + "/memory.max", root + group + "/memory.current"));
    if (group.find('/') == std::string::npos) return left;
  }
}

}  // namespace

std::int64_t available_memory_bytes() { return std::min(free_on_machine(), left_in_groups()); }

}  // namespace strandline
