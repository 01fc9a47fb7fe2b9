#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "core/base/error.hpp"
#include "io/model_file/model_file_parts.hpp"
#include "io/tables/table_reader.hpp"

namespace strandline::model_file {
namespace {

constexpr std::string_view kHeaderLine = "dataset\ttype\tshape\toffset\tcrc32c\n";
constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::i32, DType::i64, DType::u8};

template <class T>
bool parse_whole(std::string_view text, T& value, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

// "16x128"; a scalar is "-".
bool parse_shape(std::string_view text, std::vector<std::int64_t>& shape) {
  if (text == "-") return true;
  while (shape.size() < kMaxRank) {
    const std::size_t cross = text.find('x');
    std::int64_t size = 0;
    if (!parse_whole(text.substr(0, cross), size, 10) || size < 0) return false;
    shape.push_back(size);
    if (cross == text.npos) return true;
    text.remove_prefix(cross + 1);
  }
  return false;
}

bool parse_type(std::string_view text, DType& dtype) {
  const auto* at =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](DType type) { return strandline::name_of(type) == text; });
  if (at == std::end(kTypes)) return false;
  dtype = *at;
  return true;
}

}  // namespace

bool is_usable_name(std::string_view name) {
  const auto is_bad = [](char letter) {
    const auto code = static_cast<unsigned char>(letter);
    return code < 0x20 || code == 0x7f || letter == '/';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && std::none_of(name.begin(), name.end(), is_bad);
}

std::string to_text(const std::vector<ManifestEntry>& manifest) {
  std::string text(kHeaderLine);
  for (const ManifestEntry& entry : manifest) {
    const std::string shape = entry.shape.empty() ? "-" : fmt::format("{}", fmt::join(entry.shape, "x"));
    text += fmt::format("{}\t{}\t{}\t{}\t{:08x}\n", entry.dataset, strandline::name_of(entry.dtype), shape,
                        entry.offset, entry.checksum);
  }
  return text;
}

std::vector<ManifestEntry> parse_manifest(std::string_view text, const std::string& file) {
  const std::string name = file + " (manifest)";
  if (!text.starts_with(kHeaderLine))
    throw DataError({.file = name}, "the manifest of the model file is not a manifest");
  TableReader reader(text, name, {.delimiter = '\t'});
  std::vector<ManifestEntry> manifest;
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    ManifestEntry entry{.dataset = fields[0], .shape = {}};
    if (!parse_type(fields[1], entry.dtype) || !parse_shape(fields[2], entry.shape) ||
        !parse_whole(std::string_view(fields[3]), entry.offset, 10) ||
        !parse_whole(std::string_view(fields[4]), entry.checksum, 16)) {
      throw DataError(reader.location(),
                      "the manifest of the model file has a type, shape, offset or checksum that cannot be read");
    }
    if (manifest.size() > kMaxTensors)
      throw DataError(reader.location(), "the model file has more than 100,000 tensors");
    manifest.push_back(std::move(entry));
  }
  return manifest;
}

}  // namespace strandline::model_file
