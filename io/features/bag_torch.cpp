#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/zip_archive.hpp"
#include "io/features/bag_parts.hpp"
#include "io/features/torch_pickle.hpp"

namespace strandline::features {
namespace {

constexpr std::int64_t kMostPickleBytes = 1 << 20;
constexpr const char* kSaveAgain = "Save the tensor alone: torch.save(tensor, path)";
// The first pickle of the older form is one long integer, 0x1950a86a20f9469cfc6c.
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::int64_t kLegacyVersion = 1001;

ElementType type_of_storage(const std::string& name, const std::string& file) {
  const std::array<std::pair<const char*, ElementType>, 9> types{{{"FloatStorage", floating_type(4)},
                                                                  {"DoubleStorage", floating_type(8)},
                                                                  {"HalfStorage", floating_type(2)},
                                                                  {"BFloat16Storage", bfloat16_type()},
                                                                  {"LongStorage", signed_type(8)},
                                                                  {"IntStorage", signed_type(4)},
                                                                  {"ShortStorage", signed_type(2)},
                                                                  {"CharStorage", signed_type(1)},
                                                                  {"ByteStorage", unsigned_type(1)}}};
  const auto* at = std::find_if(types.begin(), types.end(), [&](const auto& type) { return name == type.first; });
  if (at == types.end())
    throw DataError({.file = file}, "tensors of torch." + name + " cannot be used", "Convert it: tensor.float()");
  return at->second;
}

TorchTensor require_tensor(PickleResult&& result, const std::string& file) {
  if (auto* tensor = std::get_if<TorchTensor>(&result.value)) return std::move(*tensor);
  throw DataError({.file = file}, "holds " + result.kind + ", not a bare tensor", kSaveAgain);
}

// Shape and place within the storage; its own place in the file is still unknown.
RawMatrix matrix_of(const TorchTensor& tensor, const std::string& file) {
  RawMatrix matrix;
  matrix.type = type_of_storage(tensor.storage.type, file);
  require_bag_shape(tensor.shape, file, matrix);
  const std::size_t rank = tensor.shape.size();
  if (tensor.strides.size() != rank)
    throw DataError({.file = file}, "the tensor has another number of strides than sizes");
  if (matrix.rows == 0) return matrix;
  matrix.row_stride = rank > 1 ? tensor.strides[rank - 2] : 1;
  const bool packed_rows = rank < 2 || matrix.columns == 1 || tensor.strides[rank - 1] == 1;
  if (!packed_rows || matrix.row_stride < 0 || (matrix.rows > 1 && matrix.row_stride < matrix.columns)) {
    throw DataError({.file = file}, "the rows of the tensor are not one after another in its file",
                    "Save it as torch.save(tensor.contiguous(), path)");
  }
  std::int64_t last = 0;
  const bool inside = tensor.offset >= 0 && !__builtin_mul_overflow(matrix.rows - 1, matrix.row_stride, &last) &&
                      !__builtin_add_overflow(last, matrix.columns, &last) &&
                      !__builtin_add_overflow(last, tensor.offset, &last) && last <= tensor.storage.elements;
  if (!inside) throw DataError({.file = file}, "the tensor does not lie within its storage", kSaveAgain);
  matrix.offset = tensor.offset * matrix.type.size_bytes;
  return matrix;
}

RawMatrix locate_in_zip(const InputFile& file) {
  const ZipArchive archive(file);
  const ZipMember* pickle = archive.find_ending("/data.pkl");
  if (pickle == nullptr)
    throw DataError({.file = file.path()}, "a zip archive, but not one that torch.save wrote", kSaveAgain);
  const std::vector<std::byte> bytes = archive.read(*pickle, kMostPickleBytes);
  const TorchTensor tensor = require_tensor(read_pickle(bytes, file.path()), file.path());
  RawMatrix matrix = matrix_of(tensor, file.path());
  const std::string folder = pickle->name.substr(0, pickle->name.size() - std::string_view("data.pkl").size());
  if (const ZipMember* order = archive.find(folder + "byteorder")) {
    const std::vector<std::byte> text = archive.read(*order, 16);
    matrix.type.big_endian = !text.empty() && text[0] == std::byte{'b'};
  }
  if (matrix.rows == 0) return matrix;
  const ZipMember* data = archive.find(folder + "data/" + tensor.storage.key);
  if (data == nullptr || data->deflated || data->size_bytes / matrix.type.size_bytes < tensor.storage.elements) {
    throw DataError({.file = file.path()}, "the numbers of the tensor are missing or too few",
                    "The file is damaged; make or copy it again");
  }
  matrix.offset += archive.data_offset(*data);
  return matrix;
}

// Pickles one after another: magic, version, the machine, the tensor, keys; then a count and the numbers of each key.
class LegacyFile {
 public:
  explicit LegacyFile(const InputFile& file) : file_(file) {
    bytes_.resize(static_cast<std::size_t>(std::min(file.size_bytes(), kMostPickleBytes)));
    file.read_at(0, bytes_.data(), bytes_.size());
  }

  RawMatrix locate() {
    const auto magic = texts(next());
    if (magic.size() != 1 || magic[0] != kLegacyMagic) fail("neither a zip archive nor a pickle of PyTorch's");
    const PickleResult version = next();
    const auto* number = std::get_if<std::int64_t>(&version.value);
    if (number == nullptr || *number != kLegacyVersion) fail("another version of PyTorch's older form");
    const PickleResult machine = next();
    const auto* numbers = std::get_if<std::map<std::string, std::int64_t>>(&machine.value);
    if (numbers == nullptr || !numbers->contains("little_endian")) fail("PyTorch's older form lacks its description");
    const bool big_endian = numbers->at("little_endian") == 0;
    const TorchTensor tensor = require_tensor(next(), file_.path());
    RawMatrix matrix = matrix_of(tensor, file_.path());
    matrix.type.big_endian = big_endian;
    const auto keys = texts(next());
    if (keys.size() != 1 || keys[0] != tensor.storage.key) fail("holds other numbers than those of one tensor");
    constexpr std::int64_t kCountBytes = 8;
    const auto begin = static_cast<std::int64_t>(at_);
    if (begin > file_.size_bytes() - kCountBytes) fail("the file is truncated");
    std::array<std::byte, kCountBytes> count{};
    file_.read_at(begin, count.data(), count.size());
    ElementType count_type = signed_type(8);
    count_type.big_endian = big_endian;
    double elements = 0;
    to_doubles(count_type, count.data(), 1, &elements);
    if (elements != static_cast<double>(tensor.storage.elements))
      fail("the storage has another size than the tensor says");
    matrix.offset += begin + kCountBytes;
    return matrix;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw DataError({.file = file_.path()}, problem, kSaveAgain);
  }

  PickleResult next() {
    PickleResult result = read_pickle(std::span(bytes_).subspan(at_), file_.path());
    at_ += result.size_bytes;
    return result;
  }

  static std::vector<std::string> texts(PickleResult&& result) {
    auto* texts = std::get_if<std::vector<std::string>>(&result.value);
    return texts == nullptr ? std::vector<std::string>{} : std::move(*texts);
  }

  const InputFile& file_;
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace

RawMatrix locate_torch_tensor(const InputFile& file, std::string& layout) {
  const bool zip = is_zip(file);
  layout = zip ? "PyTorch tensor (zip)" : "PyTorch tensor (pickle)";
  RawMatrix matrix = zip ? locate_in_zip(file) : LegacyFile(file).locate();
  require_within(file, matrix);
  return matrix;
}

}  // namespace strandline::features
