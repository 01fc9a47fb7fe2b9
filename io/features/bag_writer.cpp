#include "io/features/bag_writer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "io/hdf5/file_writer.hpp"

namespace strandline {

class BagWriter::Impl {
 public:
  Impl(const std::string& path, const BagFileInfo& info)
      : info_(info),
        chunk_rows_(hdf5::rows_per_chunk(info.width * static_cast<std::int64_t>(sizeof(float)))),
        file_(path) {
    features_ = file_.create("features", H5T_IEEE_F32LE, std::array{info_.width}, chunk_rows_);
    // Chunks of both have the same rows, so that both are written together.
    coordinates_ = file_.create("coords", H5T_STD_I64LE, std::array<std::int64_t, 1>{2}, chunk_rows_);
    describe_features();
    describe_coordinates();
  }

  ~Impl() {
    const hdf5::Silence silence;
    features_.close();
    coordinates_.close();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void append(std::span<const PatchCoordinate> coordinates, std::span<const float> features) {
    if (std::cmp_not_equal(features.size(), std::ssize(coordinates) * info_.width))
      throw ContractError("BagWriter: features and coordinates of another number of patches: " + file_.path());
    const auto bad =
        std::find_if_not(features.begin(), features.end(), [](float value) { return std::isfinite(value); });
    if (bad != features.end()) {
      throw NumericError(file_.path() + ": patch " + std::to_string(rows_ + (bad - features.begin()) / info_.width) +
                         " has a feature that is not finite; the file was not written");
    }
    for (const PatchCoordinate& at : coordinates) {
      places_.push_back(pixel(at.x));
      places_.push_back(pixel(at.y));
    }
    numbers_.insert(numbers_.end(), features.begin(), features.end());
    rows_ += std::ssize(coordinates);
    if (std::ssize(places_) / 2 >= chunk_rows_) write_pending();
  }

  void commit() {
    const hdf5::Silence silence;
    write_pending();
    file_.require(features_.close());
    file_.require(coordinates_.close());
    file_.commit();
  }

 private:
  std::int64_t pixel(double value) const {
    if (value != std::floor(value) || std::abs(value) > 0x1p53)
      throw ContractError("BagWriter: a coordinate is not a whole number of pixels: " + file_.path());
    return static_cast<std::int64_t>(value);
  }

  void write_pending() {
    const std::int64_t count = std::ssize(places_) / 2;
    if (count == 0) return;
    file_.write_rows(features_, H5T_IEEE_F32LE, written_, count, numbers_.data());
    file_.write_rows(coordinates_, H5T_STD_I64LE, written_, count, places_.data());
    written_ += count;
    numbers_.clear();
    places_.clear();
  }

  void describe_features() {
    file_.add_text(features_, "name", info_.name);
    file_.add_text(features_, "savetodir", info_.folder);
    file_.add_text(features_, "encoder", info_.encoder);
  }

  void describe_coordinates() {
    const auto integer = [&](const char* name, std::int64_t value) {
      file_.add_integers(coordinates_, name, std::array{value});
    };
    const auto magnification = [&](const char* name, double value) {
      if (value > 0) file_.add_numbers(coordinates_, name, std::array{value});
    };
    // TRIDENT's.
    integer("patch_size", info_.patch_size);
    integer("patch_size_level0", info_.patch_size_level0);
    magnification("level0_magnification", info_.level0_magnification);
    magnification("target_magnification", info_.target_magnification);
    integer("overlap", info_.overlap);
    file_.add_text(coordinates_, "name", info_.name);
    file_.add_text(coordinates_, "savetodir", info_.folder);
    integer("level0_width", info_.level0_width);
    integer("level0_height", info_.level0_height);
    // CLAM's.
    integer("patch_level", info_.patch_level);
    file_.add_numbers(coordinates_, "downsample", std::array{info_.downsample, info_.downsample});
    file_.add_integers(coordinates_, "downsampled_level_dim", std::array{info_.level_width, info_.level_height});
    file_.add_integers(coordinates_, "level_dim", std::array{info_.level_width, info_.level_height});
    file_.add_text(coordinates_, "save_path", info_.folder);
    // Ours.
    if (!info_.patch_order.empty()) file_.add_text(coordinates_, "patch_order", info_.patch_order);
  }

  BagFileInfo info_;
  std::int64_t chunk_rows_;
  std::int64_t rows_ = 0;
  std::int64_t written_ = 0;
  std::vector<float> numbers_;
  std::vector<std::int64_t> places_;
  hdf5::FileWriter file_;
  hdf5::Handle features_;
  hdf5::Handle coordinates_;
};

BagWriter::BagWriter(const std::string& path, const BagFileInfo& info) {
  if (info.width <= 0) throw ContractError("BagWriter: width must be positive");
  impl_ = std::make_unique<Impl>(path, info);
}

BagWriter::~BagWriter() = default;

void BagWriter::append(std::span<const PatchCoordinate> coordinates, std::span<const float> features) {
  impl_->append(coordinates, features);
}

void BagWriter::commit() { impl_->commit(); }

}  // namespace strandline
