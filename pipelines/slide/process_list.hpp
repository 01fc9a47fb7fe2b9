// One line per slide: what became of it. Lets a run go on where the last one stopped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace strandline {

enum class SlideStatus {
  processed,
  empty,   ///< no tissue, or no patch on it: its files are there, with no coordinate
  failed,  ///< its message says why
};

std::string name_of(SlideStatus status);

struct ProcessRow {
  std::string slide_id;
  std::string path;
  SlideStatus status = SlideStatus::failed;
  std::int64_t patches = 0;
  std::int64_t contours = 0;
  std::int64_t bad_patches = 0;  ///< of those checked
  std::int64_t bad_blocks = 0;   ///< of the overview
  std::optional<double> mpp{};   ///< of level 0
  std::string mpp_source{};
  std::optional<std::int64_t> level{};
  std::optional<std::int64_t> patch_size_level0{};
  std::int64_t size_bytes = 0;  ///< of the slide's file
  std::string settings{};       ///< fingerprint of the options
  std::string message{};
};

/// A TSV, by slide_id. Written whole after every slide, so that a run that was killed has lost at most one line.
class ProcessList {
 public:
  /// Reads `path` if it is there. @throws DataError, IoError.
  explicit ProcessList(std::string path);

  const ProcessRow* find(const std::string& slide_id) const;
  /// Puts a row, and the file with it. @throws IoError.
  void put(ProcessRow row);
  const std::string& path() const { return path_; }

 private:
  void write() const;

  std::string path_;
  std::map<std::string, ProcessRow> rows_;
};

}  // namespace strandline
