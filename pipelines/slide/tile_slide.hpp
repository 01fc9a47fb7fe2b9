// One slide: from pixels to the places of its patches, and the files that say so.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "io/slide/slide.hpp"
#include "pipelines/slide/choose_level.hpp"
#include "pipelines/slide/overview.hpp"
#include "pipelines/slide/patch_grid.hpp"
#include "pipelines/slide/read_patches.hpp"
#include "pipelines/slide/tissue_mask.hpp"

namespace strandline {

enum class CheckPatches { no, yes };

struct TileOptions {
  std::string folder;  ///< of the job
  PatchScale scale;
  std::int64_t overlap_px = 0;  ///< of neighbouring patches, in pixels of a patch
  GridAnchor anchor = GridAnchor::slide;
  double min_tissue = 0.0;
  TissueRules rules;
  SlideOptions slide;
  OnBadTile on_bad_tile = OnBadTile::error;
  CheckPatches check = CheckPatches::no;  ///< reads every patch once; with OnBadTile::skip bad ones are left out
  int threads = 1;
  std::int64_t thumbnail_side = 1024;
  std::string program_version;
};

/// @throws ContractError naming the option: sizes that are not positive, an overlap of a patch or more.
void check_tile_options(const TileOptions& options);

/// Twelve hexadecimal digits that change with every option that changes a result.
std::string fingerprint(const TileOptions& options);

/// What reading and looking at a slide gives.
struct SlideTiles {
  SlideInfo info;
  LevelChoice level;
  Overview overview;  ///< what tissue was looked for on
  RgbImage thumbnail;
  TissueMask tissue;
  std::vector<PatchPlace> places;
  std::int64_t bad_patches = 0;  ///< of those checked
  std::string first_problem;     ///< about what could not be read and was passed over
};

/// Writes nothing. @throws what open_slide, choose_level and read_patches throw; InterruptedError.
SlideTiles make_tiles(const std::string& path, const TileOptions& options, const std::stop_token& stop);

/// Where the files of a slide go. docs/formats.md shows the tree.
struct TilePaths {
  std::string coords;     ///< <mag>x_<patch>px_<overlap>px_overlap/patches/<name>_patches.h5
  std::string grid;       ///< <mag>x_<patch>px_<overlap>px_overlap/visualization/<name>.png
  std::string thumbnail;  ///< thumbnails/<name>.png
  std::string mask;       ///< masks/<name>.png
  std::string outlines;   ///< contours_geojson/<name>.geojson
};

TilePaths tile_paths(const TileOptions& options, const std::string& name);

/// Writes all files of a slide, making folders; the coordinates last, so that they never stand alone. @throws IoError.
void write_tiles(const SlideTiles& tiles, const std::string& name, const TileOptions& options);

}  // namespace strandline
