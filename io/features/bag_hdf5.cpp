#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.hpp"
#include "io/features/bag_parts.hpp"
#include "io/hdf5/dataset.hpp"

namespace strandline::features {
namespace {

using hdf5::Attribute;
using hdf5::Dataset;
using hdf5::Metadata;
using hdf5::Object;

constexpr std::int64_t kBytesAtOnce = 1 << 24;
constexpr std::array<const char*, 2> kFeatureNames{"features", "feats"};  // CLAM and TRIDENT, STAMP
constexpr const char* kCoordinateName = "coords";

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + ")";
}

const Attribute* find_attribute(const Object& object, std::string_view name) {
  const std::vector<Attribute>& all = object.attributes();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Attribute& one) { return one.name == name; });
  return at == all.end() ? nullptr : &*at;
}

std::optional<double> number_attribute(const Object& object, std::string_view name) {
  const Attribute* attribute = find_attribute(object, name);
  return attribute == nullptr ? std::nullopt : hdf5::number_of(*attribute);
}

std::optional<std::string> text_attribute(const Object& object, std::string_view name) {
  const Attribute* attribute = find_attribute(object, name);
  return attribute == nullptr ? std::nullopt : hdf5::text_of(object.metadata(), *attribute);
}

// The open file. Objects keep references to its parts, so that it must not move.
class Hdf5Folder {
 public:
  explicit Hdf5Folder(const std::string& path) : file_(path), metadata_(file_), root_(metadata_, root_address()) {
    members_ = hdf5::members_of(root_);
  }
  Hdf5Folder(const Hdf5Folder&) = delete;
  Hdf5Folder& operator=(const Hdf5Folder&) = delete;

  const InputFile& file() const { return file_; }
  const Object& root() const { return root_; }

  std::unique_ptr<Dataset> find(const std::string& name) const {
    const auto at = members_.find(name);
    if (at == members_.end()) return nullptr;
    return std::make_unique<Dataset>(Object(metadata_, at->second));
  }

  std::string names() const {
    std::string text;
    for (const auto& [name, address] : members_) {
      if (text.size() > 200) return text + ", ...";
      text += (text.empty() ? "'" : ", '") + name.substr(0, 40) + "'";
    }
    return text.empty() ? "nothing" : text;
  }

 private:
  std::int64_t root_address() const { return metadata_.superblock().root_header; }

  InputFile file_;
  Metadata metadata_;
  Object root_;
  std::map<std::string, std::int64_t> members_;
};

std::vector<PatchCoordinate> coordinates_of(const Dataset& dataset, const std::string& file) {
  const bool empty = dataset.is_matrix() && dataset.matrix().rows == 0;
  if (empty) return {};
  if (!dataset.is_matrix() || dataset.matrix().columns != 2 || !dataset.type().is_number()) {
    throw DataError({.file = file, .record = kCoordinateName}, "has shape " + shape_text(dataset.shape()) +
                                                                   " and type " + describe(dataset.type()) +
                                                                   ", expected two numbers per patch");
  }
  const RawMatrix matrix{
      .rows = dataset.matrix().rows, .columns = 2, .row_stride = 2, .offset = 0, .type = dataset.type()};
  std::vector<std::byte> bytes(static_cast<std::size_t>(matrix.rows * 2 * matrix.type.size_bytes));
  dataset.read_rows(0, matrix.rows, bytes.data());
  return to_coordinates(matrix, bytes.data(), file);
}

// Edge of a patch in pixels of level 0, from whichever attributes there are; 0 when unknown.
double patch_size_of(const Object& coordinates) {
  if (const auto size = number_attribute(coordinates, "patch_size_level0")) return *size;
  const auto size = number_attribute(coordinates, "patch_size");
  if (!size) return 0;
  const double level = number_attribute(coordinates, "patch_level").value_or(0);
  const auto downsample = number_attribute(coordinates, "downsample");
  if (level > 0 && !downsample) return 0;
  return *size * (level > 0 ? *downsample : 1) * number_attribute(coordinates, "custom_downsample").value_or(1);
}

void describe_coordinates(const Hdf5Folder& folder, const Dataset& coordinates, BagInfo& info) {
  const bool micrometres = text_attribute(folder.root(), "unit") == "um";
  info.unit = micrometres ? CoordinateUnit::micrometres : CoordinateUnit::level0_pixels;
  info.patch_size =
      micrometres ? number_attribute(folder.root(), "tile_size_um").value_or(0) : patch_size_of(coordinates.object());
}

class Hdf5Bag final : public BagReader {
 public:
  explicit Hdf5Bag(const std::string& path) : folder_(path) {
    for (const char* name : kFeatureNames) {
      if (!features_) features_ = folder_.find(name);
      if (features_ && record_.empty()) record_ = name;
    }
    if (!features_) refuse_without_features();
    describe_features();
    if (const auto coordinates = folder_.find(kCoordinateName)) read_coordinates(*coordinates);
  }

  const BagInfo& info() const override { return info_; }
  const std::vector<PatchCoordinate>& coordinates() const override { return coordinates_; }

  void read_rows(std::int64_t begin, std::int64_t count, float* out) const override {
    const std::int64_t row_bytes = std::max<std::int64_t>(1, info_.width * features_->type().size_bytes);
    const std::int64_t rows_at_once = std::max<std::int64_t>(1, kBytesAtOnce / row_bytes);
    std::vector<std::byte> bytes;
    for (std::int64_t done = 0; done < count; done += rows_at_once) {
      const std::int64_t rows = std::min(rows_at_once, count - done);
      bytes.resize(static_cast<std::size_t>(rows * row_bytes));
      features_->read_rows(begin + done, rows, bytes.data());
      float* to = out + done * info_.width;
      to_floats(features_->type(), bytes.data(), rows * info_.width, to);
      require_finite(to, begin + done, rows, *this, folder_.file().path());
    }
  }

 private:
  [[noreturn]] void refuse_without_features() const {
    const std::string have = "The file has " + folder_.names();
    if (folder_.find(kCoordinateName)) {
      throw DataError({.file = folder_.file().path()}, "has coordinates of patches, but no features",
                      have + "; give the folder of features (CLAM: h5_files, TRIDENT: features_...)");
    }
    throw DataError({.file = folder_.file().path()}, "has no dataset 'features' (CLAM, TRIDENT) or 'feats' (STAMP)",
                    have);
  }

  void describe_features() {
    const Dataset& features = *features_;
    const FileLocation where{.file = folder_.file().path(), .record = record_};
    if (!features.is_matrix() || !features.type().is_number() ||
        (features.shape().size() < 2 && features.matrix().rows > 0)) {
      throw DataError(where,
                      "has shape " + shape_text(features.shape()) + " and type " + describe(features.type()) +
                          ", expected patches x width of numbers",
                      "A slide embedding (one vector per slide) is no bag of patches");
    }
    info_.patches = features.matrix().rows;
    info_.width = features.shape().size() < 2 ? 0 : features.matrix().columns;
    info_.element_type = describe(features.type());
    if (info_.patches > 0 && info_.width == 0) throw DataError(where, "has patches without features");
    if (const auto encoder = text_attribute(features.object(), "encoder")) info_.encoder = *encoder;
    if (const auto extractor = text_attribute(folder_.root(), "extractor")) info_.encoder = *extractor;
  }

  void read_coordinates(const Dataset& coordinates) {
    const bool trident = number_attribute(coordinates.object(), "patch_size_level0").has_value();
    coordinates_ = coordinates_of(coordinates, folder_.file().path());
    if (std::ssize(coordinates_) != info_.patches) {
      throw DataError(
          {.file = folder_.file().path()},
          std::to_string(coordinates_.size()) + " coordinates for " + std::to_string(info_.patches) + " patches",
          "Make the features again: the program that wrote them was stopped");
    }
    describe_coordinates(folder_, coordinates, info_);
    const bool stamp = record_ == "feats";
    info_.layout = stamp ? "STAMP HDF5" : trident ? "TRIDENT HDF5" : "CLAM HDF5";
  }

  Hdf5Folder folder_;
  std::unique_ptr<Dataset> features_;
  std::string record_;
  std::vector<PatchCoordinate> coordinates_;
  BagInfo info_{.layout = "HDF5 without coordinates"};
};

}  // namespace

bool is_hdf5(const InputFile& file) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::array<char, 8> start{};
  for (std::int64_t at = 0; at <= file.size_bytes() - 8 && at <= 2048; at = at == 0 ? 512 : 2 * at) {
    file.read_at(at, start.data(), start.size());
    if (std::string_view(start.data(), start.size()) == kSignature) return true;
  }
  return false;
}

std::unique_ptr<BagReader> open_hdf5_bag(const std::string& path) { return std::make_unique<Hdf5Bag>(path); }

std::vector<PatchCoordinate> read_hdf5_coordinates(const std::string& path, BagInfo* info) {
  const Hdf5Folder folder(path);
  const auto coordinates = folder.find(kCoordinateName);
  if (!coordinates) {
    throw DataError({.file = path}, "has no dataset 'coords'", "The file has " + folder.names());
  }
  if (info != nullptr) describe_coordinates(folder, *coordinates, *info);
  return coordinates_of(*coordinates, path);
}

}  // namespace strandline::features
