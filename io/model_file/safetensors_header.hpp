// The JSON header of a safetensors file, parsed without trust. Internal to io/model_file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace strandline::safetensors {

inline constexpr std::int64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::size_t kMaxTensors = 100'000;
inline constexpr std::size_t kMaxRank = 8;

struct Entry {
  std::string name{};
  std::string type{};
  std::vector<std::int64_t> shape{};
  std::int64_t begin = 0;  ///< in the data, in bytes
  std::int64_t end = 0;
};

struct Header {
  std::map<std::string, std::string> metadata{};
  std::vector<Entry> entries{};  ///< in the order of their data
};

/// Bytes per element, or 0 for a type that the format does not have.
std::int64_t size_of_type(std::string_view type);

/// Checks all that can be checked without the data: keys, types, shapes, and that the tensors cover `data_bytes`
/// exactly.
/// @throws DataError naming `file`, the tensor and the fault.
Header parse_header(std::string_view json, std::int64_t data_bytes, const std::string& file);

}  // namespace strandline::safetensors
