#include "pipelines/run/run_manifest.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "io/bytes/checksum.hpp"
#include "io/bytes/library_versions.hpp"

namespace strandline {
namespace {

using Json = nlohmann::ordered_json;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace

InputSummary describe_input(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw IoError(path, "open", error.value());
  return {path, static_cast<std::int64_t>(size), sha256_of_file(path)};
}

void require_distinct(std::span<const InputSummary> inputs) {
  std::map<std::string_view, std::string> path_of_checksum;
  for (const InputSummary& input : inputs) {
    const auto [known, is_new] = path_of_checksum.emplace(input.sha256, input.path);
    if (is_new) continue;
    throw DataError({.file = input.path}, "has the same content as " + known->second,
                    "Every file may serve once: for one class, either to train or to be held out");
  }
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::string to_json(const RunManifest& manifest) {
  Json libraries = Json::object();
  for (const auto& [name, version] : library_versions()) libraries[name] = version;
  Json inputs = Json::array();
  for (const InputSummary& input : manifest.inputs) {
    inputs.push_back({{"path", input.path}, {"size_bytes", input.size_bytes}, {"sha256", input.sha256}});
  }
  Json outputs = Json::object();
  for (const auto& [what, path] : manifest.outputs) outputs[what] = path;
  const Json all = {{"format", "strandline run"},
                    {"version", 1},
                    {"program_version", kVersion},
                    {"libraries", libraries},
                    {"command_line", manifest.command_line},
                    {"seed", manifest.seed},
                    {"started", manifest.started},
                    {"finished", manifest.finished},
                    {"host", host_name()},
                    {"backend", manifest.backend},
                    {"threads", manifest.threads},
                    {"inputs", inputs},
                    {"outputs", outputs},
                    {"config", Json::parse(manifest.config_json)},
                    {"results", Json::parse(manifest.results_json)}};
  // Paths need not be UTF-8; what is not becomes a replacement character instead of an error.
  return all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace strandline
