#include "pipelines/slide/tile_slide.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/base/error.hpp"
#include "io/bytes/checksum.hpp"
#include "io/features/patch_coords_file.hpp"
#include "io/images/png_file.hpp"
#include "pipelines/slide/outline_geojson.hpp"
#include "pipelines/slide/slide_pictures.hpp"

namespace strandline {
namespace {

namespace fs = std::filesystem;

// The objective that has 10 / m micrometres per pixel, to two decimals: 0.5 um is 20x.
double target_magnification(double spacing_um) { return std::round(1000.0 / spacing_um) / 100.0; }

std::int64_t step_l0px(const TileOptions& options, const LevelChoice& level) {
  const double scale = static_cast<double>(level.patch_l0px) / static_cast<double>(options.scale.patch_px);
  return std::max<std::int64_t>(1,
                                std::llround(static_cast<double>(options.scale.patch_px - options.overlap_px) * scale));
}

// Leaves out what cannot be read, when that is asked for.
void check_patches(SlideTiles& tiles, const TileOptions& options, const PatchReadOptions& read) {
  const PatchReadPlan plan{.path = tiles.info.path,
                           .slide = options.slide,
                           .level = tiles.level.level,
                           .read_px = tiles.level.read_px,
                           .patch_px = options.scale.patch_px,
                           .places = tiles.places};
  std::vector<bool> bad(tiles.places.size());
  const PatchReadCounts counts =
      read_patches(plan, read, [&](ReadPatch&& patch) { bad[static_cast<std::size_t>(patch.index)] = patch.bad; });
  tiles.bad_patches = counts.bad;
  if (tiles.first_problem.empty()) tiles.first_problem = counts.first_problem;
  if (options.on_bad_tile != OnBadTile::skip) return;
  std::vector<PatchPlace> good;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    if (!bad[i]) good.push_back(tiles.places[i]);
  }
  tiles.places = std::move(good);
}

// From a finer level than the overview where that is smaller.
RgbImage read_thumbnail(const SlideTiles& tiles, const TileOptions& options, const PatchReadOptions& read) {
  const SlideLevel& level0 = tiles.info.levels.front();
  const std::int64_t side = std::min(options.thumbnail_side, std::max(level0.width, level0.height));
  if (std::max(tiles.overview.picture.width, tiles.overview.picture.height) >= side) {
    return make_thumbnail(tiles.overview, side);
  }
  const double downsample = static_cast<double>(std::max(level0.width, level0.height)) / static_cast<double>(side);
  return make_thumbnail(read_overview(tiles.info, options.slide, {.downsample = downsample, .read = read}), side);
}

PatchCoordsInfo coords_info(const SlideTiles& tiles, const std::string& name, const TileOptions& options) {
  const SlideLevel& level0 = tiles.info.levels.front();
  const SlideLevel& level = tiles.info.levels[static_cast<std::size_t>(tiles.level.level)];
  const double spacing = tiles.level.level0_spacing_um;
  PatchCoordsInfo info{.name = name, .save_path = fs::path(tile_paths(options, name).coords).parent_path().string()};
  info.patch_size = options.scale.patch_px;
  info.patch_size_level0 = tiles.level.patch_l0px;
  info.overlap = options.overlap_px;
  info.level0_magnification = tiles.info.objective_power.value_or(magnification_of(spacing));
  info.target_magnification = target_magnification(options.scale.spacing_um);
  info.patch_level = tiles.level.level;
  info.read_size = tiles.level.read_px;
  info.downsample = tiles.level.downsample;
  info.level0_size = {level0.width, level0.height};
  info.level_size = {level.width, level.height};
  info.numbers = {
      {"level0_mpp", spacing}, {"target_mpp", options.scale.spacing_um}, {"min_tissue", options.min_tissue}};
  info.texts = {{"mpp_source", tiles.info.spacing_source},
                {"patch_order", options.anchor == GridAnchor::slide ? "row" : "file"},
                {"grid", options.anchor == GridAnchor::slide ? "slide" : "contour"},
                {"tissue_rules", describe(options.rules)},
                {"slide_file", fs::path(tiles.info.path).filename().string()},
                {"program", "strandline " + options.program_version}};
  return info;
}

void make_folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw IoError(folder.string(), "create", error.value());
}

}  // namespace

void check_tile_options(const TileOptions& options) {
  const auto require = [](bool right, const std::string& what) {
    if (!right) throw ContractError("tiling: " + what);
  };
  const PatchScale& scale = options.scale;
  require(std::isfinite(scale.spacing_um) && scale.spacing_um > 0.0, "micrometres per pixel must be positive");
  require(scale.patch_px > 0 && scale.patch_px <= 1 << 15, "the side of a patch must be from 1 to 32768 pixels");
  require(options.overlap_px >= 0 && options.overlap_px < scale.patch_px, "the overlap must be less than a patch");
  require(options.min_tissue >= 0.0 && options.min_tissue <= 1.0, "the least share of tissue must be from 0 to 1");
  check_tissue_rules(options.rules);
}

std::string fingerprint(const TileOptions& options) {
  const SlideOptions& slide = options.slide;
  const Rgb background = slide.background.value_or(Rgb{});
  const std::string text =
      fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {}", options.scale.spacing_um, options.scale.patch_px,
                  options.scale.tolerance, options.overlap_px, static_cast<int>(options.anchor), options.min_tissue,
                  describe(options.rules), slide.assume_spacing_um.value_or(0.0), slide.background.has_value(),
                  fmt::join(background, ","), static_cast<int>(options.on_bad_tile), static_cast<int>(options.check),
                  options.thumbnail_side);
  return sha256(text.data(), text.size()).substr(0, 12);
}

SlideTiles make_tiles(const std::string& path, const TileOptions& options, const std::stop_token& stop) {
  SlideTiles tiles;
  tiles.info = open_slide(path, options.slide)->info();
  tiles.level = choose_level(tiles.info, options.scale);
  const PatchReadOptions read{.threads = options.threads, .on_bad_tile = options.on_bad_tile, .stop = stop};
  tiles.overview = read_overview(tiles.info, options.slide, {.read = read});
  tiles.first_problem = tiles.overview.first_problem;
  tiles.thumbnail = read_thumbnail(tiles, options, read);
  tiles.tissue = find_tissue(tiles.overview, options.rules);
  tiles.places = make_grid(tiles.tissue, tiles.info.levels.front(),
                           {.patch_l0px = tiles.level.patch_l0px,
                            .step_l0px = step_l0px(options, tiles.level),
                            .anchor = options.anchor,
                            .min_tissue = options.min_tissue,
                            .contour_test = options.rules.contour_test,
                            .edges = options.rules.edges});
  if (options.check == CheckPatches::yes) check_patches(tiles, options, read);
  return tiles;
}

TilePaths tile_paths(const TileOptions& options, const std::string& name) {
  const fs::path folder(options.folder);
  const fs::path grid = folder / fmt::format("{}x_{}px_{}px_overlap", target_magnification(options.scale.spacing_um),
                                             options.scale.patch_px, options.overlap_px);
  return {.coords = (grid / "patches" / (name + "_patches.h5")).string(),
          .grid = (grid / "visualization" / (name + ".png")).string(),
          .thumbnail = (folder / "thumbnails" / (name + ".png")).string(),
          .mask = (folder / "masks" / (name + ".png")).string(),
          .outlines = (folder / "contours_geojson" / (name + ".geojson")).string()};
}

void write_tiles(const SlideTiles& tiles, const std::string& name, const TileOptions& options) {
  const TilePaths paths = tile_paths(options, name);
  for (const std::string* path : {&paths.coords, &paths.grid, &paths.thumbnail, &paths.mask, &paths.outlines}) {
    make_folder_of(*path);
  }
  write_png(paths.thumbnail, tiles.thumbnail);
  write_png(paths.mask, tiles.tissue.mask);
  write_outlines(paths.outlines, name, tiles.tissue, tiles.info.bounds);
  RgbImage picture = tiles.thumbnail;
  draw_grid({.slide_width_l0px = tiles.info.levels.front().width,
             .patch_l0px = tiles.level.patch_l0px,
             .places = tiles.places,
             .contours = tiles.tissue.contours},
            picture);
  write_png(paths.grid, picture);
  std::vector<PatchCoord> coords;
  coords.reserve(tiles.places.size());
  for (const PatchPlace& place : tiles.places) coords.push_back({place.x_l0px, place.y_l0px});
  write_patch_coords(paths.coords, coords_info(tiles, name, options), coords);
}

}  // namespace strandline
