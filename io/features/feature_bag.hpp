// Bags of patch features, as CLAM, TRIDENT, STAMP and slideflow write them: one file per slide. The layouts are in
// docs/formats.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace strandline {

/// Upper left corner of a patch: pixels of level 0, or micrometres (STAMP).
struct PatchCoordinate {
  double x = 0;
  double y = 0;

  bool operator==(const PatchCoordinate&) const = default;
};

enum class CoordinateUnit : std::uint8_t { none, level0_pixels, micrometres };

struct BagInfo {
  std::string layout{};  ///< in words: "CLAM HDF5", "PyTorch tensor (zip)"
  std::int64_t patches = 0;
  std::int64_t width = 0;  ///< numbers per patch; 0 when an empty slide's file does not say
  CoordinateUnit unit = CoordinateUnit::none;
  double patch_size = 0;  ///< edge of a patch in `unit`; 0: the file does not say
  std::string encoder{};  ///< as the file names it; may be empty
  std::string element_type{};
};

struct BagOptions {
  /// A file with coordinates for features without (.pt, .npy): HDF5 with `coords`. Empty: none.
  std::string coordinates_path{};
};

/// An open bag: its rows are read when asked for, so that bags larger than memory can be streamed. One thread at a
/// time.
class BagReader {
 public:
  virtual ~BagReader() = default;
  virtual const BagInfo& info() const = 0;
  /// One per patch, in file order; empty without coordinates.
  virtual const std::vector<PatchCoordinate>& coordinates() const = 0;
  /// Rows [begin, begin + count) as f32: exact from f16, bf16, f32, rounded to nearest from f64 and integers.
  /// @throws DataError naming patch and feature that are not finite; damaged data.
  virtual void read_rows(std::int64_t begin, std::int64_t count, float* out) const = 0;
};

/// Told apart by content: HDF5 (`features` or `feats`, with `coords`), a PyTorch tensor (zip or legacy pickle; nothing
/// in it is run), .npy. A leading axis of one, (1, N, D), is dropped. Beside a .pt, slideflow's `<name>.index.npz`
/// gives the coordinates. The file may be damaged or hostile: sizes are checked against the file's before memory is
/// asked for. No file is locked, so that the locking trouble of HDF5 on network file systems cannot arise.
/// @throws DataError (file, what is wrong, cure), IoError.
std::unique_ptr<BagReader> open_bag(const std::string& path, const BagOptions& options = {});

/// Coordinates alone: of a CLAM or TRIDENT patches file, or of a bag. `info` gets unit and patch size when given.
std::vector<PatchCoordinate> read_coordinates(const std::string& path, BagInfo* info = nullptr);

struct FeatureBag {
  BagInfo info;
  std::vector<PatchCoordinate> coordinates;
  std::vector<float> features;  ///< patches x width
};

/// All of it. @throws as open_bag and read_rows; MemoryError when it would not fit.
FeatureBag read_bag(const std::string& path, const BagOptions& options = {});

/// The slide that a bag's file is of: the name without folders and without .h5, .hdf5, .pt, .npy, "_patches", and
/// TRIDENT's compound endings (.ome.tif).
std::string slide_id_of(const std::string& path);

/// True for the endings that bags have: .h5, .hdf5, .pt, .npy.
bool has_bag_ending(const std::string& path);

}  // namespace strandline
