#include "pipelines/slide/tile_slides.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "core/base/error.hpp"
#include "pipelines/run/run_lock.hpp"

namespace strandline {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char letter) { return std::tolower(letter); });
  return text;
}

bool has_slide_extension(const fs::path& path) {
  constexpr std::array<const char*, 10> kExtensions{".svs", ".tif", ".tiff", ".ndpi", ".mrxs",
                                                    ".scn", ".vms", ".vmu",  ".bif",  ".svslide"};
  const std::string extension = lower(path.extension().string());
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

std::vector<std::string> slides_in(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (has_slide_extension(entry.path()) && entry.is_regular_file(error)) found.push_back(entry.path().string());
  }
  if (error) throw IoError(folder, "list", error.value());
  std::sort(found.begin(), found.end());
  if (found.empty()) {
    throw DataError({.file = folder}, "there is no slide in this folder", "Name the files, or the folder they are in");
  }
  return found;
}

std::int64_t size_of(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

// One run's work on its list.
class Job {
 public:
  Job(const TileOptions& options, std::stop_token stop)
      : options_(options),
        stop_(std::move(stop)),
        settings_(fingerprint(options)),
        folder_(make_folder(options.folder)),
        lock_(options.folder + "/.lock", "the folder " + options.folder),
        list_(options.folder + "/process_list.tsv") {}

  ~Job() {
    std::error_code ignored;
    fs::remove(options_.folder + "/.lock", ignored);  // while it is held, as RunLock wants it
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // The row of an earlier run, when it still holds.
  const ProcessRow* done_before(const std::string& path) const {
    const ProcessRow* row = list_.find(slide_name(path));
    const bool holds = row != nullptr && row->status != SlideStatus::failed && row->settings == settings_ &&
                       row->path == path && row->size_bytes == size_of(path) &&
                       fs::exists(tile_paths(options_, row->slide_id).coords);
    return holds ? row : nullptr;
  }

  ProcessRow tile(const std::string& path, std::exception_ptr& failure) {
    ProcessRow row{.slide_id = slide_name(path), .path = path, .size_bytes = size_of(path), .settings = settings_};
    if (const std::optional<SlideTiles> tiles = read(path, row, failure)) {
      describe(*tiles, row);
      write_tiles(*tiles, row.slide_id, options_);
    } else {
      // What an earlier run wrote must not be taken for this one's.
      std::error_code ignored;
      fs::remove(tile_paths(options_, row.slide_id).coords, ignored);
    }
    list_.put(row);
    return row;
  }

 private:
  static bool make_folder(const std::string& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw IoError(folder, "create", error.value());
    return true;
  }

  std::optional<SlideTiles> read(const std::string& path, ProcessRow& row, std::exception_ptr& failure) const {
    try {
      return make_tiles(path, options_, stop_);
    } catch (const InterruptedError&) {
      throw;
    } catch (const Error& error) {
      row.message = error.what();
      failure = std::current_exception();
      return std::nullopt;
    }
  }

  static void describe(const SlideTiles& tiles, ProcessRow& row) {
    row.status = tiles.places.empty() ? SlideStatus::empty : SlideStatus::processed;
    row.patches = static_cast<std::int64_t>(tiles.places.size());
    row.contours = static_cast<std::int64_t>(tiles.tissue.contours.size());
    row.bad_patches = tiles.bad_patches;
    row.bad_blocks = tiles.overview.bad_blocks;
    row.mpp = tiles.level.level0_spacing_um;
    row.mpp_source = tiles.info.spacing_source;
    row.level = tiles.level.level;
    row.patch_size_level0 = tiles.level.patch_l0px;
    row.message = tiles.first_problem;
    if (row.message.empty() && tiles.tissue.contours.empty()) {
      row.message = "no tissue found; for pale or small pieces lower --saturation or --min-area";
    } else if (row.message.empty() && tiles.places.empty()) {
      row.message = "no patch passes; use a smaller --patch or --min-tissue";
    }
  }

  const TileOptions& options_;
  std::stop_token stop_;
  std::string settings_;
  bool folder_;  // made before it is locked
  RunLock lock_;
  ProcessList list_;
};

void count(const ProcessRow& row, TileSummary& summary) {
  switch (row.status) {
    case SlideStatus::processed: ++summary.processed; break;
    case SlideStatus::empty: ++summary.empty; break;
    case SlideStatus::failed: ++summary.failed; break;
  }
  summary.patches += row.patches;
  summary.bad_patches += row.bad_patches;
}

}  // namespace

std::string slide_name(const std::string& path) {
  fs::path name = fs::path(path).filename();
  const std::string whole = lower(name.string());
  name = name.stem();
  for (const char* compound : {".ome.tif", ".ome.tiff"}) {
    if (whole.ends_with(compound)) return name.stem().string();
  }
  return name.string();
}

std::vector<std::string> find_slides(const std::vector<std::string>& paths) {
  std::vector<std::string> slides;
  for (const std::string& path : paths) {
    if (fs::is_directory(path)) {
      const std::vector<std::string> found = slides_in(path);
      slides.insert(slides.end(), found.begin(), found.end());
    } else {
      slides.push_back(path);
    }
  }
  std::map<std::string, std::string> by_name;
  for (const std::string& path : slides) {
    const auto [other, is_new] = by_name.emplace(slide_name(path), path);
    if (!is_new) {
      throw DataError({.file = path}, "its results would have the name of those of " + other->second,
                      "Tile them into folders of their own");
    }
  }
  return slides;
}

TileSummary tile_slides(const std::vector<std::string>& slides, const TileOptions& options, Resume resume,
                        const std::function<void(const SlideDone&)>& done, const std::stop_token& stop) {
  check_tile_options(options);
  Job job(options, stop);
  TileSummary summary;
  const auto total = static_cast<std::int64_t>(slides.size());
  std::int64_t number = 0;
  for (const std::string& path : slides) {
    if (stop.stop_requested()) throw InterruptedError("stopped; give the same command again to go on");
    ++number;
    const ProcessRow* before = resume == Resume::yes ? job.done_before(path) : nullptr;
    std::exception_ptr failure;
    const ProcessRow row = before != nullptr ? *before : job.tile(path, failure);
    if (before != nullptr) ++summary.were_done;
    if (failure && !summary.first_failure) summary.first_failure = failure;
    count(row, summary);
    done({row, before != nullptr, number, total});
  }
  return summary;
}

}  // namespace strandline
