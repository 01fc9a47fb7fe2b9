#include "io/model_file/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "core/base/error.hpp"

namespace strandline::safetensors {
namespace {

constexpr std::array<std::pair<std::string_view, std::int64_t>, 15> kTypes = {{{"BOOL", 1},
                                                                               {"U8", 1},
                                                                               {"I8", 1},
                                                                               {"F8_E5M2", 1},
                                                                               {"F8_E4M3", 1},
                                                                               {"U16", 2},
                                                                               {"I16", 2},
                                                                               {"F16", 2},
                                                                               {"BF16", 2},
                                                                               {"U32", 4},
                                                                               {"I32", 4},
                                                                               {"F32", 4},
                                                                               {"U64", 8},
                                                                               {"I64", 8},
                                                                               {"F64", 8}}};

constexpr std::string_view kMetadataKey = "__metadata__";

// A tensor's name can be as long as the header; a message cannot.
std::string shown(const std::string& name) { return name.size() <= 200 ? name : name.substr(0, 200) + "..."; }

// Events instead of a tree: a tree takes the last of two equal keys, any depth, and integers beyond 64 bits as floating
// point. Levels: 1 the names, 2 the description of one tensor (or the metadata), 3 its shape or its offsets.
class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(std::string file) : file_(std::move(file)) {}
  Header take() { return std::move(header_); }

  bool key(string_t& text) override {
    if (depth_ == 1) {
      if (!names_.insert(text).second) fail("the name '" + shown(text) + "' is there twice");
      if (names_.size() > kMaxTensors + 1) fail("more than 100,000 tensors");
      name_ = std::move(text);
      in_metadata_ = name_ == kMetadataKey;
      fields_seen_ = 0;
      entry_ = {.name = name_};
      return true;
    }
    if (!in_metadata_) see_field(text);
    field_ = std::move(text);
    return true;
  }

  bool start_object(std::size_t) override {
    if (++depth_ > 2) fail_at_tensor("an object where there should be none");
    if (depth_ == 2 && name_.empty()) fail("a tensor without a name");
    return true;
  }

  bool end_object() override {
    if (depth_-- == 2 && !in_metadata_) {
      if (fields_seen_ != kAllFields) fail_at_tensor("dtype, shape or data_offsets is missing");
      header_.entries.push_back(std::move(entry_));
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || (field_ != "shape" && field_ != "data_offsets"))
      fail_at_tensor("a list where there should be none");
    depth_ = 3;
    list_.clear();
    return true;
  }

  bool end_array() override {
    depth_ = 2;
    if (field_ == "shape") {
      entry_.shape = list_;
    } else {
      if (list_.size() != 2) fail_at_tensor("data_offsets must be two numbers");
      entry_.begin = list_[0];
      entry_.end = list_[1];
    }
    return true;
  }

  bool string(string_t& text) override {
    if (depth_ == 2 && in_metadata_) {
      if (!header_.metadata.emplace(field_, std::move(text)).second)
        fail("the metadata key '" + shown(field_) + "' is there twice");
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") fail_at_tensor("text where there should be none");
    if (size_of_type(text) == 0) fail_at_tensor("there is no type '" + shown(text) + "'");
    entry_.type = std::move(text);
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) fail_at_tensor("a number where there should be none");
    if (!std::in_range<std::int64_t>(value)) fail_at_tensor("a number that does not fit in 63 bits");
    if (list_.size() == kMaxRank) fail_at_tensor("more than 8 axes");
    list_.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool number_integer(number_integer_t) override { return refuse_value("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return refuse_value("a number that is not a whole one, or too large");
  }
  bool null() override { return refuse_value("null"); }
  bool boolean(bool) override { return refuse_value("true or false"); }
  bool binary(binary_t&) override { return refuse_value("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw DataError({.file = file_, .byte_offset = static_cast<std::int64_t>(position) + 8},
                    "the safetensors header is not valid JSON", kCure);
  }

 private:
  static constexpr const char* kCure = "Make or download the file again";
  static constexpr unsigned kAllFields = 7;

  void see_field(const std::string& field) {
    const unsigned bit = field == "dtype" ? 1U : field == "shape" ? 2U : field == "data_offsets" ? 4U : 0U;
    if (bit == 0) fail_at_tensor("there is no field '" + shown(field) + "'");
    if ((fields_seen_ & bit) != 0) fail_at_tensor("the field '" + field + "' is there twice");
    fields_seen_ |= bit;
  }

  bool refuse_value(const char* what) { fail_at_tensor(std::string(what) + " where there should be none"); }

  [[noreturn]] void fail(const std::string& problem) const {
    throw DataError({.file = file_}, "safetensors header: " + problem, kCure);
  }

  [[noreturn]] void fail_at_tensor(const std::string& problem) const {
    throw DataError({.file = file_, .record = shown(name_)}, "safetensors header: " + problem, kCure);
  }

  std::string file_;
  Header header_;
  std::unordered_set<std::string> names_;
  int depth_ = 0;
  std::string name_;
  std::string field_;
  bool in_metadata_ = false;
  unsigned fields_seen_ = 0;
  Entry entry_;
  std::vector<std::int64_t> list_;
};

void require_size(const Entry& entry, const std::string& file) {
  std::int64_t size_bytes = size_of_type(entry.type);
  const bool empty = std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end();
  for (const std::int64_t size : entry.shape) {
    if (!empty && __builtin_mul_overflow(size_bytes, size, &size_bytes)) {
      throw DataError({.file = file, .record = shown(entry.name)}, "the shape does not fit in 63 bits");
    }
  }
  if (empty) size_bytes = 0;
  if (entry.end < entry.begin || entry.end - entry.begin != size_bytes) {
    throw DataError({.file = file, .record = shown(entry.name)},
                    "type and shape ask for " + std::to_string(size_bytes) + " bytes, data_offsets are " +
                        std::to_string(entry.begin) + " and " + std::to_string(entry.end));
  }
}

}  // namespace

std::int64_t size_of_type(std::string_view type) {
  const auto* at = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& known) { return known.first == type; });
  return at == kTypes.end() ? 0 : at->second;
}

Header parse_header(std::string_view json, std::int64_t data_bytes, const std::string& file) {
  if (!json.starts_with('{'))
    throw DataError({.file = file, .byte_offset = 8}, "not a safetensors file: its header does not begin with '{'");
  HeaderEvents events(file);
  nlohmann::json::sax_parse(json, &events);
  Header header = events.take();
  std::sort(header.entries.begin(), header.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::int64_t covered = 0;
  for (const Entry& entry : header.entries) {
    require_size(entry, file);
    if (entry.begin != covered) {
      throw DataError({.file = file, .record = shown(entry.name)},
                      std::string("safetensors header: the data have ") +
                          (entry.begin < covered ? "an overlap" : "a hole") + " before byte " +
                          std::to_string(std::max(entry.begin, covered)) + " of the data");
    }
    covered = entry.end;
  }
  if (covered < data_bytes)
    throw DataError({.file = file},
                    "the file has " + std::to_string(data_bytes - covered) + " bytes after its last tensor",
                    "Such bytes can hide another file; make it again");
  if (covered > data_bytes)
    throw DataError(
        {.file = file},
        "the file is truncated: " + std::to_string(covered - data_bytes) + " bytes of the tensors are missing",
        "Make or download the file again");
  return header;
}

}  // namespace strandline::safetensors
