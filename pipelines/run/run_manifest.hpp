// What a run was: enough to repeat it, and to know that it was repeated.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace strandline {

struct InputSummary {
  std::string path;
  std::int64_t size_bytes = 0;
  std::string sha256;
};

/// Reads the whole file. @throws IoError.
InputSummary describe_input(const std::string& path);

/// @throws DataError when two inputs have the same content: under two classes it teaches nothing, and as training and
/// held-out data it makes the model look better than it is.
void require_distinct(std::span<const InputSummary> inputs);

struct RunManifest {
  std::vector<std::string> command_line;
  std::uint64_t seed = 0;
  std::string config_json = "{}";  ///< every setting, defaults included
  std::string results_json = "{}";
  std::vector<InputSummary> inputs;
  std::vector<std::pair<std::string, std::string>> outputs;  ///< what it is, and its path
  std::string backend;
  int threads = 0;
  std::string started;  ///< UTC, ISO 8601
  std::string finished;
};

/// "2026-11-22T03:04:05Z"
std::string utc_now();

/// With version, libraries and host added.
std::string to_json(const RunManifest& manifest);

}  // namespace strandline
