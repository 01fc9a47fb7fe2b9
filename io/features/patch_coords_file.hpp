// Where the patches of a slide lie, as TRIDENT and CLAM read it. The layout is in docs/formats.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace strandline {

/// Every attribute of the dataset `coords`.
struct PatchCoordsInfo {
  std::string name{};                    ///< of the slide
  std::string save_path{};               ///< folder of the file: CLAM's save_path, TRIDENT's savetodir
  std::int64_t patch_size = 256;         ///< side in pixels, after any resizing
  std::int64_t patch_size_level0 = 256;  ///< side in level-0 pixels
  std::int64_t overlap = 0;              ///< of neighbouring patches, in pixels of a patch
  double level0_magnification = 0.0;     ///< 0: not known, and not written
  double target_magnification = 0.0;
  std::int64_t patch_level = 0;               ///< level that is read
  std::int64_t read_size = 256;               ///< side in pixels of that level; another than patch_size is resized
  double downsample = 1.0;                    ///< of that level
  std::array<std::int64_t, 2> level0_size{};  ///< width, height
  std::array<std::int64_t, 2> level_size{};
  std::map<std::string, double> numbers{};     ///< further attributes: level0_mpp, ...
  std::map<std::string, std::string> texts{};  ///< mpp_source, order, ...
};

/// x, y of the upper left corner in level-0 pixels.
using PatchCoord = std::array<std::int64_t, 2>;

/// Writes `coords`, int64 [N, 2], also for N = 0, in chunks of 1,024 rows. Whole or absent, as OutputFile; the same
/// bytes for the same arguments. @throws IoError.
void write_patch_coords(const std::string& path, const PatchCoordsInfo& info, std::span<const PatchCoord> coords);

}  // namespace strandline
