// What a run was: enough to repeat it, and to know that it was repeated.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace strandline {

struct InputFile {
  std::string path;
  std::int64_t size_bytes = 0;
  std::string sha256;
};

/// Reads the whole file. @throws IoError.
InputFile describe_input(const std::string& path);

struct RunManifest {
  std::vector<std::string> command_line;
  std::uint64_t seed = 0;
  std::string config_json = "{}";  ///< every setting, defaults included
  std::string results_json = "{}";
  std::vector<InputFile> inputs;
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
