#include "io/features/feature_bag.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <utility>

#include "core/base/error.hpp"
#include "io/bytes/local_path.hpp"
#include "io/bytes/system_memory.hpp"
#include "io/bytes/zip_archive.hpp"
#include "io/features/bag_parts.hpp"

namespace strandline {
namespace features {
namespace {

constexpr std::int64_t kBytesAtOnce = 1 << 24;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + ")";
}

bool starts_with(const InputFile& file, std::string_view start) {
  std::array<char, 8> bytes{};
  if (file.size_bytes() < std::ssize(start)) return false;
  file.read_at(0, bytes.data(), start.size());
  return std::string_view(bytes.data(), start.size()) == start;
}

bool is_npy(const InputFile& file) { return starts_with(file, "\x93NUMPY"); }

// slideflow keeps locations beside its bag.
std::string index_beside(const std::string& path) {
  if (!path.ends_with(".pt")) return {};
  std::string index = path.substr(0, path.size() - 3) + ".index.npz";
  std::error_code ignored;
  return std::filesystem::exists(index, ignored) ? index : std::string();
}

class RawBag final : public BagReader {
 public:
  RawBag(const std::string& path, const BagOptions& options) : file_(path) {
    if (is_npy(file_)) {
      matrix_ = parse_npy(file_);
      info_.layout = "NumPy array";
    } else {
      matrix_ = locate_torch_tensor(file_, info_.layout);
    }
    info_.patches = matrix_.rows;
    info_.width = matrix_.columns;
    info_.element_type = describe(matrix_.type);
    read_coordinates(options);
  }

  const BagInfo& info() const override { return info_; }
  const std::vector<PatchCoordinate>& coordinates() const override { return coordinates_; }

  void read_rows(std::int64_t begin, std::int64_t count, float* out) const override {
    const std::int64_t row_bytes = std::max<std::int64_t>(1, info_.width * matrix_.type.size_bytes);
    const std::int64_t rows_at_once = std::max<std::int64_t>(1, kBytesAtOnce / row_bytes);
    for (std::int64_t done = 0; done < count; done += rows_at_once) {
      const std::int64_t rows = std::min(rows_at_once, count - done);
      const std::vector<std::byte> bytes = read_raw_rows(file_, matrix_, begin + done, rows);
      float* to = out + done * info_.width;
      to_floats(matrix_.type, bytes.data(), rows * info_.width, to);
      require_finite(to, begin + done, rows, *this, file_.path());
    }
  }

 private:
  void read_coordinates(const BagOptions& options) {
    std::string from = options.coordinates_path;
    if (!from.empty()) {
      coordinates_ = strandline::read_coordinates(from, &info_);
    } else if (from = index_beside(file_.path()); !from.empty()) {
      coordinates_ = read_npz_coordinates(from);
      info_.unit = CoordinateUnit::level0_pixels;
      info_.layout = "slideflow " + info_.layout;
    } else {
      return;
    }
    if (std::ssize(coordinates_) != info_.patches) {
      throw DataError({.file = from},
                      std::to_string(coordinates_.size()) + " coordinates, but " + file_.path() + " has " +
                          std::to_string(info_.patches) + " patches",
                      "Give the coordinates that the features were made from");
    }
  }

  InputFile file_;
  RawMatrix matrix_;
  std::vector<PatchCoordinate> coordinates_;
  BagInfo info_;
};

}  // namespace

void require_bag_shape(const std::vector<std::int64_t>& shape, const std::string& file, RawMatrix& out) {
  std::size_t ones = 0;
  while (shape.size() - ones > 2 && shape[ones] == 1) ++ones;
  const bool empty_vector = shape.size() == 1 && shape[0] == 0;
  if (shape.size() - ones == 2) {
    out.rows = shape[ones];
    out.columns = shape[ones + 1];
  } else if (!empty_vector) {
    throw DataError({.file = file}, "has shape " + shape_text(shape) + ", expected patches x width",
                    "A slide embedding (one vector per slide) is no bag of patches");
  }
  if (out.rows < 0 || out.columns < 0 || (out.rows > 0 && out.columns == 0))
    throw DataError({.file = file}, "has shape " + shape_text(shape) + ", expected patches x width");
}

void require_within(const InputFile& file, const RawMatrix& matrix) {
  if (matrix.rows == 0) return;
  std::int64_t size_bytes = 0;
  const bool inside = matrix.offset >= 0 && matrix.row_stride >= 0 &&
                      !__builtin_mul_overflow(matrix.rows - 1, matrix.row_stride, &size_bytes) &&
                      !__builtin_add_overflow(size_bytes, matrix.columns, &size_bytes) &&
                      !__builtin_mul_overflow(size_bytes, matrix.type.size_bytes, &size_bytes) &&
                      size_bytes <= file.size_bytes() && matrix.offset <= file.size_bytes() - size_bytes;
  if (!inside) {
    throw DataError({.file = file.path(), .byte_offset = file.size_bytes()},
                    "the file ends before the numbers that its header announces", "Make or copy the file again");
  }
}

std::vector<std::byte> read_raw_rows(const InputFile& file, const RawMatrix& matrix, std::int64_t begin,
                                     std::int64_t count) {
  if (begin < 0 || count < 0 || count > matrix.rows - begin) throw ContractError("BagReader: rows out of range");
  const std::int64_t row_bytes = matrix.columns * matrix.type.size_bytes;
  const std::int64_t stride_bytes = matrix.row_stride * matrix.type.size_bytes;
  std::vector<std::byte> bytes(static_cast<std::size_t>(count * row_bytes));
  if (stride_bytes == row_bytes || count <= 1) {
    file.read_at(matrix.offset + begin * stride_bytes, bytes.data(), bytes.size());
    return bytes;
  }
  for (std::int64_t row = 0; row < count; ++row) {
    file.read_at(matrix.offset + (begin + row) * stride_bytes, bytes.data() + row * row_bytes,
                 static_cast<std::size_t>(row_bytes));
  }
  return bytes;
}

void require_finite(const float* values, std::int64_t begin, std::int64_t count, const BagReader& bag,
                    const std::string& file) {
  const std::int64_t width = bag.info().width;
  const float* end = values + count * width;
  const float* at = std::find_if_not(values, end, [](float value) { return std::isfinite(value); });
  if (at == end) return;
  const std::int64_t index = at - values;
  throw DataError({.file = file, .record = "patch " + std::to_string(begin + index / width)},
                  "feature " + std::to_string(index % width) + " is not a finite number",
                  "The encoder overflowed or the file is damaged; make the features again");
}

std::vector<PatchCoordinate> to_coordinates(const RawMatrix& matrix, const std::byte* from, const std::string& file) {
  std::vector<double> numbers(static_cast<std::size_t>(2 * matrix.rows));
  to_doubles(matrix.type, from, 2 * matrix.rows, numbers.data());
  std::vector<PatchCoordinate> coordinates;
  coordinates.reserve(static_cast<std::size_t>(matrix.rows));
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    if (!std::isfinite(numbers[i]) || !std::isfinite(numbers[i + 1]))
      throw DataError({.file = file, .record = "patch " + std::to_string(i / 2)},
                      "a coordinate is not a finite number");
    coordinates.push_back({numbers[i], numbers[i + 1]});
  }
  return coordinates;
}

}  // namespace features

std::unique_ptr<BagReader> open_bag(const std::string& path, const BagOptions& options) {
  require_local_path(path);
  bool hdf5 = false;
  {
    const InputFile file(path);
    if (file.size_bytes() == 0) throw DataError({.file = path}, "the file is empty", "Make or copy it again");
    hdf5 = features::is_hdf5(file);
    // PyTorch's older form begins with the pickle protocol.
    const bool raw = features::is_npy(file) || is_zip(file) || features::starts_with(file, "\x80");
    if (!hdf5 && !raw) {
      throw DataError({.file = path}, "not a file of features: neither HDF5 nor a PyTorch tensor nor .npy",
                      "Bags are made by CLAM, TRIDENT, STAMP, slideflow or 'strandline slide embed'");
    }
  }
  if (!hdf5) return std::make_unique<features::RawBag>(path, options);
  return features::open_hdf5_bag(path);
}

std::vector<PatchCoordinate> read_coordinates(const std::string& path, BagInfo* info) {
  require_local_path(path);
  return features::read_hdf5_coordinates(path, info);
}

FeatureBag read_bag(const std::string& path, const BagOptions& options) {
  const std::unique_ptr<BagReader> reader = open_bag(path, options);
  FeatureBag bag{.info = reader->info(), .coordinates = reader->coordinates(), .features = {}};
  std::int64_t numbers = 0;
  const bool countable = !__builtin_mul_overflow(bag.info.patches, bag.info.width, &numbers);
  const std::int64_t available = available_memory_bytes();
  if (!countable || numbers > available / static_cast<std::int64_t>(sizeof(float))) {
    throw MemoryError(path + ": " + std::to_string(bag.info.patches) + " patches x " + std::to_string(bag.info.width) +
                      " features do not fit in the " + std::to_string(available >> 20) +
                      " MiB of memory at hand; use a machine with more");
  }
  bag.features.resize(static_cast<std::size_t>(numbers));
  reader->read_rows(0, bag.info.patches, bag.features.data());
  return bag;
}

std::string slide_id_of(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  for (const char* ending : {".h5", ".hdf5", ".pt", ".npy", "_patches", ".ome.tiff", ".ome.tif"}) {
    if (name.ends_with(ending) && name.size() > std::string_view(ending).size())
      name.resize(name.size() - std::string_view(ending).size());
  }
  return name;
}

bool has_bag_ending(const std::string& path) {
  return path.ends_with(".h5") || path.ends_with(".hdf5") || path.ends_with(".pt") || path.ends_with(".npy");
}

}  // namespace strandline
