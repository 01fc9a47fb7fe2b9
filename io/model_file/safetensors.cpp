#include "io/model_file/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/base/error.hpp"
#include "io/bytes/input_file.hpp"
#include "io/bytes/output_file.hpp"
#include "io/model_file/half.hpp"
#include "io/model_file/safetensors_header.hpp"

namespace strandline {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::int64_t kLengthBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";
// Files are read in pieces, so that converting costs no second copy of a large tensor.
constexpr std::int64_t kPieceElements = 1 << 18;

// The bytes of a file or of memory: size, and how to get some of them.
struct Bytes {
  std::string name;
  std::int64_t size_bytes;
  std::function<void(std::int64_t offset, void* out, std::size_t size_bytes)> read_at;
};

struct Types {
  DType stored;
  bool is_half;
};

Types types_of(const safetensors::Entry& entry, const std::string& file) {
  constexpr std::array<std::pair<std::string_view, Types>, 7> kReadable = {{{"F64", {DType::f64, false}},
                                                                            {"F32", {DType::f32, false}},
                                                                            {"BF16", {DType::bf16, false}},
                                                                            {"F16", {DType::bf16, true}},
                                                                            {"I64", {DType::i64, false}},
                                                                            {"I32", {DType::i32, false}},
                                                                            {"U8", {DType::u8, false}}}};
  const auto* at =
      std::find_if(kReadable.begin(), kReadable.end(), [&](const auto& type) { return type.first == entry.type; });
  if (at == kReadable.end()) {
    throw DataError({.file = file, .record = entry.name}, "tensors of type " + entry.type + " cannot be used",
                    "F64, F32, F16, BF16, I64, I32 and U8 can");
  }
  return at->second;
}

template <class From, class Convert>
void convert(const std::byte* from, float* to, std::int64_t elements, Convert to_f32) {
  for (std::int64_t i = 0; i < elements; ++i) {
    From value;
    std::memcpy(&value, from + static_cast<std::size_t>(i) * sizeof(From), sizeof(From));
    to[i] = to_f32(value);
  }
}

void to_f32(const Types& types, const std::byte* from, float* to, std::int64_t elements) {
  if (types.is_half) {
    convert<std::uint16_t>(from, to, elements, half_to_float);
  } else if (types.stored == DType::bf16) {
    convert<Bf16>(from, to, elements, [](Bf16 value) { return to_float(value); });
  } else {
    convert<double>(from, to, elements, [](double value) { return static_cast<float>(value); });
  }
}

NamedTensor read_tensor(const Bytes& bytes, std::int64_t data_begin, const safetensors::Entry& entry,
                        bool floats_to_f32) {
  const Types types = types_of(entry, bytes.name);
  const bool converts = types.is_half || (floats_to_f32 && (types.stored == DType::f64 || types.stored == DType::bf16));
  NamedTensor tensor{.name = entry.name, .dtype = converts ? DType::f32 : types.stored, .shape = entry.shape};
  const auto width = static_cast<std::int64_t>(size_of(types.stored));
  const std::int64_t elements = (entry.end - entry.begin) / width;
  tensor.data.resize(static_cast<std::size_t>(elements) * size_of(tensor.dtype));
  if (!converts) {
    bytes.read_at(data_begin + entry.begin, tensor.data.data(), tensor.data.size());
    return tensor;
  }
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(elements, kPieceElements) * width));
  auto* out = reinterpret_cast<float*>(tensor.data.data());  // vectors are aligned for any element
  for (std::int64_t done = 0; done < elements; done += kPieceElements) {
    const std::int64_t take = std::min(kPieceElements, elements - done);
    bytes.read_at(data_begin + entry.begin + done * width, piece.data(), static_cast<std::size_t>(take * width));
    to_f32(types, piece.data(), out + done, take);
  }
  return tensor;
}

SafetensorsFile read(const Bytes& bytes, const SafetensorsOptions& options) {
  const FileLocation where{.file = bytes.name, .byte_offset = 0};
  if (bytes.size_bytes < kLengthBytes) throw DataError(where, "not a safetensors file: it is shorter than 8 bytes");
  std::uint64_t length = 0;
  bytes.read_at(0, &length, sizeof(length));
  if (length > static_cast<std::uint64_t>(safetensors::kMaxHeaderBytes)) {
    throw DataError(where, "not a safetensors file: its header would have " + std::to_string(length) +
                               " bytes; 100,000,000 are allowed");
  }
  const auto header_bytes = static_cast<std::int64_t>(length);
  const std::int64_t data_begin = kLengthBytes + header_bytes;
  if (data_begin > bytes.size_bytes)
    throw DataError(where, "the file ends within its safetensors header", "Make or download the file again");
  std::string json(static_cast<std::size_t>(header_bytes), '\0');
  bytes.read_at(kLengthBytes, json.data(), json.size());
  safetensors::Header header = safetensors::parse_header(json, bytes.size_bytes - data_begin, bytes.name);
  SafetensorsFile file{.metadata = std::move(header.metadata), .tensors = {}};
  // Types first: nothing is read from a file that will be refused.
  for (const safetensors::Entry& entry : header.entries) types_of(entry, bytes.name);
  file.tensors.reserve(header.entries.size());
  for (const safetensors::Entry& entry : header.entries) {
    file.tensors.push_back(read_tensor(bytes, data_begin, entry, options.floats_to_f32));
  }
  std::sort(file.tensors.begin(), file.tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  return file;
}

const char* type_name_of(DType dtype) {
  switch (dtype) {
    case DType::f64: return "F64";
    case DType::f32: return "F32";
    case DType::bf16: return "BF16";
    case DType::i64: return "I64";
    case DType::i32: return "I32";
    case DType::u8: return "U8";
  }
  throw ContractError("write_safetensors: unknown element type");
}

void require_writable(const SafetensorsFile& file) {
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& tensor : file.tensors) {
    require_consistent(tensor);
    if (tensor.name.empty() || tensor.name == kMetadataKey || !names.insert(tensor.name).second) {
      throw ContractError("write_safetensors: the name '" + tensor.name + "' is empty, reserved or there twice");
    }
    if (const std::int64_t at = first_non_finite(tensor); at >= 0) {
      throw NumericError("the tensor '" + tensor.name + "' is not finite at element " + std::to_string(at) +
                         "; nothing was written");
    }
  }
}

std::string header_of(const std::map<std::string, std::string>& metadata,
                      const std::vector<const NamedTensor*>& tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::size_t begin = 0;
  for (const NamedTensor* tensor : tensors) {
    const std::size_t end = begin + tensor->data.size();
    // push_back, because looking a name up in ordered JSON takes time in proportion to their number.
    nlohmann::ordered_json entry = {
        {"dtype", type_name_of(tensor->dtype)}, {"shape", tensor->shape}, {"data_offsets", {begin, end}}};
    header.get_ref<nlohmann::ordered_json::object_t&>().push_back({tensor->name, std::move(entry)});
    begin = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw ContractError("write_safetensors: a name or the metadata are not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

SafetensorsFile read_safetensors(const std::string& path, const SafetensorsOptions& options) {
  const InputFile file(path);
  return read({path, file.size_bytes(),
               [&](std::int64_t offset, void* out, std::size_t size) { file.read_at(offset, out, size); }},
              options);
}

SafetensorsFile read_safetensors(std::span<const std::byte> bytes, const std::string& name,
                                 const SafetensorsOptions& options) {
  const auto copy = [&](std::int64_t offset, void* out, std::size_t size) {
    if (size > 0) std::memcpy(out, bytes.data() + offset, size);
  };
  return read({name, static_cast<std::int64_t>(bytes.size()), copy}, options);
}

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
  require_writable(file);
  std::vector<const NamedTensor*> tensors;
  for (const NamedTensor& tensor : file.tensors) tensors.push_back(&tensor);
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const std::size_t width_a = size_of(a->dtype);
    const std::size_t width_b = size_of(b->dtype);
    return width_a != width_b ? width_a > width_b : a->name < b->name;
  });
  const std::string header = header_of(file.metadata, tensors);
  const auto length = static_cast<std::uint64_t>(header.size());
  OutputFile output(path);
  output.write(&length, sizeof(length));
  output.write(header);
  for (const NamedTensor* tensor : tensors) output.write(tensor->data.data(), tensor->data.size());
  output.commit();
}

}  // namespace strandline
