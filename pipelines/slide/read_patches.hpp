// Patches of a slide, read ahead on several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "io/images/image.hpp"
#include "io/slide/slide.hpp"

namespace strandline {

/// Upper left corner in level-0 pixels.
struct PatchPlace {
  std::int64_t x_l0px = 0;
  std::int64_t y_l0px = 0;

  bool operator==(const PatchPlace&) const = default;
};

/// What a tile that cannot be read means.
enum class OnBadTile {
  error,  ///< the slide cannot be used
  skip,   ///< patches on it are left out
  mask,   ///< patches on it have the background colour there, all over
};

/// "error", "skip" or "mask". @throws ContractError.
OnBadTile parse_on_bad_tile(const std::string& text);

struct PatchReadPlan {
  std::string path;
  SlideOptions slide{};
  int level = 0;
  std::int64_t read_px = 256;   ///< side at the level
  std::int64_t patch_px = 256;  ///< side handed out; resized() when it differs
  std::vector<PatchPlace> places{};
};

struct PatchReadOptions {
  int threads = 1;
  OnBadTile on_bad_tile = OnBadTile::error;
  std::int64_t block_px = 2048;  ///< neighbouring patches within a block of this side are read at once
  std::stop_token stop{};
};

struct ReadPatch {
  std::int64_t index = 0;  ///< into PatchReadPlan::places
  bool bad = false;        ///< could not be read: with `skip` there are no pixels, with `mask` the background colour
  RgbImage pixels{};
};

struct PatchReadCounts {
  std::int64_t patches = 0;
  std::int64_t bad = 0;
  std::string first_problem;  ///< what the reader said about the first bad one
};

/// Hands every patch to `use` in the calling thread, in an order that depends on the plan and block_px alone: block by
/// block, which is not that of `places`. Each worker has a handle of its own. A patch has the pixels that one read at
/// its place would give. Memory: some blocks and their patches per thread.
/// @throws DataError (a bad tile, with OnBadTile::error; a slide that does not open), InterruptedError, what `use`
/// throws.
PatchReadCounts read_patches(const PatchReadPlan& plan, const PatchReadOptions& options,
                             const std::function<void(ReadPatch&&)>& use);

}  // namespace strandline
