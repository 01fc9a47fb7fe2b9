// Writes a bag of patch features that TRIDENT's and CLAM's programs read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "io/features/feature_bag.hpp"

namespace strandline {

/// What the attributes say; docs/formats.md has the list. Sizes in pixels.
struct BagFileInfo {
  std::int64_t width = 0;  ///< features per patch
  std::string name{};      ///< of the slide
  std::string folder{};    ///< where patches and features were written
  std::string encoder{};
  std::int64_t patch_size = 0;         ///< edge as the encoder sees it
  std::int64_t patch_size_level0 = 0;  ///< edge in the slide
  std::int64_t overlap = 0;
  double level0_magnification = 0;  ///< 0: not known; then left out
  double target_magnification = 0;
  std::int64_t level0_width = 0;
  std::int64_t level0_height = 0;
  std::int64_t patch_level = 0;  ///< level that patches were read from
  double downsample = 1;         ///< of that level
  std::int64_t level_width = 0;  ///< of that level
  std::int64_t level_height = 0;
  std::string patch_order{};  ///< as OrderKind's name; the rows are in this order
};

/// `features` f32 and `coords` int64 in chunks of many rows (TRIDENT's own have one), the attributes of TRIDENT and of
/// CLAM on `coords`. A slide without tissue is a file without rows. Whole or absent, as OutputFile. One thread at a
/// time. @throws ContractError (sizes that disagree; a coordinate that is no whole number of pixels), NumericError (a
/// feature that is not finite), IoError naming the file; after an error nothing is retried.
class BagWriter {
 public:
  BagWriter(const std::string& path, const BagFileInfo& info);
  ~BagWriter();
  BagWriter(const BagWriter&) = delete;
  BagWriter& operator=(const BagWriter&) = delete;

  /// @param features coordinates.size() rows.
  void append(std::span<const PatchCoordinate> coordinates, std::span<const float> features);
  /// Gives the file its final name. No patch may follow.
  void commit();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strandline
