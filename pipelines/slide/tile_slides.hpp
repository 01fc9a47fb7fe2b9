// Many slides: one that fails does not stop the others, and what is done is not done again.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "pipelines/slide/process_list.hpp"
#include "pipelines/slide/tile_slide.hpp"

namespace strandline {

/// The file's name without its extension, also without a compound one (".ome.tiff").
std::string slide_name(const std::string& path);

/// Folders replaced by the slides in them (by extension: svs, tif, tiff, ndpi, mrxs, scn, vms, vmu, bif, svslide),
/// sorted by name; files as they are. @throws IoError; DataError (a folder without any, two slides of one name).
std::vector<std::string> find_slides(const std::vector<std::string>& paths);

enum class Resume { yes, no };

/// After each slide. `row.message` says why it failed or what was passed over.
struct SlideDone {
  const ProcessRow& row;
  bool was_done = false;    ///< in an earlier run, with the same options and the same size of the slide's file
  std::int64_t number = 0;  ///< from 1
  std::int64_t total = 0;
};

struct TileSummary {
  std::int64_t processed = 0;
  std::int64_t empty = 0;
  std::int64_t failed = 0;
  std::int64_t were_done = 0;
  std::int64_t patches = 0;
  std::int64_t bad_patches = 0;
  std::exception_ptr first_failure;
};

/// Tiles each slide into options.folder, which is locked meanwhile, and keeps process_list.tsv there. What goes wrong
/// with reading a slide is its row's message; what goes wrong with writing ends the run.
/// @throws IoError (cannot write), DataError (another run is at work in the folder), InterruptedError (rows so far are
/// written), ContractError (check_tile_options).
TileSummary tile_slides(const std::vector<std::string>& slides, const TileOptions& options, Resume resume,
                        const std::function<void(const SlideDone&)>& done, const std::stop_token& stop);

}  // namespace strandline
