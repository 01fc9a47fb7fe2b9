#include "pipelines/run/checkpoint_store.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/version.hpp"
#include "io/bytes/checksum.hpp"
#include "io/bytes/output_file.hpp"
#include "io/model_file/model_file.hpp"

namespace strandline {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kCheckpointVersion = 1;
constexpr std::size_t kKept = 2;
constexpr std::string_view kStepPrefix = "step-";
constexpr const char* kRestartCure = "Run the command of that checkpoint again, or add --restart to begin anew";

std::string read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw IoError(path, "open", errno);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

Json parse(const std::string& path) {
  try {
    return Json::parse(read_text(path));
  } catch (const Json::exception& error) {
    throw DataError({path}, fmt::format("is not valid JSON ({})", error.what()));
  }
}

void write_tensors(const std::string& path, const std::vector<NamedTensor>& tensors, ModelFileKind kind) {
  write_model_file(path, {kModelFormatVersion, "{}", "{}", tensors, kind});
}

// Errors of std::filesystem become ours, with the name of the file.
void checked(const std::string& path, const std::string& action, const std::function<void(std::error_code&)>& work) {
  std::error_code error;
  work(error);
  if (error) throw IoError(path, action, error.value());
}

void remove_tree(const fs::path& path) {
  checked(path.string(), "remove", [&](std::error_code& error) { fs::remove_all(path, error); });
}

// nullopt for names that are not step-<number>.
std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return step;
}

Json describe_files(const fs::path& folder) {
  Json files = Json::object();
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    files[entry.path().filename().string()] = {{"size_bytes", entry.file_size()}, {"sha256", sha256_of_file(path)}};
  }
  return files;
}

// Every file of the manifest is there, with its size and its sum.
bool is_whole(const fs::path& folder) {
  try {
    const Json manifest = parse((folder / "MANIFEST.json").string());
    for (const auto& [name, described] : manifest.at("files").items()) {
      const std::string path = (folder / name).string();
      if (fs::file_size(path) != described.at("size_bytes").get<std::uintmax_t>()) return false;
      if (sha256_of_file(path) != described.at("sha256").get<std::string>()) return false;
    }
    return true;
  } catch (const Json::exception&) {
    return false;
  } catch (const Error&) {
    return false;
  } catch (const fs::filesystem_error&) {
    return false;
  }
}

// "training.steps: 100 there, 200 here" for the first few leaves that differ.
std::string differences(const Json& stored, const Json& wanted) {
  const Json flat_stored = stored.flatten();
  const Json flat_wanted = wanted.flatten();
  std::vector<std::string> found;
  const auto compare = [&](const Json& keys) {
    for (const auto& [key, unused] : keys.items()) {
      const std::string there = flat_stored.contains(key) ? flat_stored[key].dump() : "absent";
      const std::string here = flat_wanted.contains(key) ? flat_wanted[key].dump() : "absent";
      const std::string line = fmt::format("{}: {} there, {} here", key.substr(1), there, here);
      if (there != here && std::ranges::find(found, line) == found.end()) found.push_back(line);
    }
  };
  compare(flat_stored);
  compare(flat_wanted);
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t index = 0; index < std::min(kShown, found.size()); ++index)
    text += (index > 0 ? "; " : "") + found[index];
  if (found.size() > kShown) text += fmt::format("; and {} more", found.size() - kShown);
  return text;
}

// Newest first.
std::vector<std::int64_t> steps_in(const std::string& folder) {
  std::vector<std::int64_t> found;
  std::error_code missing;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, missing)) {
    if (const auto step = step_of(entry.path().filename().string())) found.push_back(*step);
  }
  std::ranges::sort(found, std::ranges::greater{});
  return found;
}

}  // namespace

CheckpointStore::CheckpointStore(std::string folder, std::string config_json)
    : folder_(std::move(folder)), config_json_(std::move(config_json)) {
  checked(folder_, "create", [&](std::error_code& error) { fs::create_directories(folder_, error); });
  remove_leftovers();
}

void CheckpointStore::remove_leftovers() const {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    if (entry.path().filename().string().find(".tmp") != std::string::npos) remove_tree(entry.path());
  }
}

std::string CheckpointStore::newest_config(const std::string& folder) {
  for (const std::int64_t step : steps_in(folder)) {
    const fs::path path = fs::path(folder) / fmt::format("{}{}", kStepPrefix, step);
    if (is_whole(path)) return parse((path / "state.json").string()).at("config").dump();
  }
  return {};
}

void CheckpointStore::require_same_config(const std::string& stored_config, const std::string& file) const {
  const Json stored = Json::parse(stored_config);
  const Json wanted = Json::parse(config_json_);
  if (stored == wanted) return;
  throw DataError({file}, "is a checkpoint of another configuration (" + differences(stored, wanted) + ")",
                  kRestartCure);
}

std::optional<Checkpoint> CheckpointStore::load() const {
  for (const std::int64_t step : steps_in(folder_)) {
    const fs::path folder = fs::path(folder_) / fmt::format("{}{}", kStepPrefix, step);
    if (!is_whole(folder)) continue;
    const std::string state_path = (folder / "state.json").string();
    const Json state = parse(state_path);
    if (state.at("version").get<int>() > kCheckpointVersion) {
      throw DataError({folder.string()}, "is a checkpoint of a newer program",
                      "Go on with that program, or add --restart to begin anew");
    }
    require_same_config(state.at("config").dump(), folder.string());
    Checkpoint checkpoint;
    checkpoint.step = step;
    checkpoint.state_json = state.at("state").dump();
    checkpoint.weights = read_model_file((folder / "weights.h5").string()).tensors;
    checkpoint.optimizer = read_model_file((folder / "optimizer.h5").string(), ModelFileKind::optimizer).tensors;
    const std::string best = (folder / "best.h5").string();
    if (fs::exists(best)) checkpoint.best = read_model_file(best).tensors;
    return checkpoint;
  }
  return std::nullopt;
}

void CheckpointStore::save(const Checkpoint& checkpoint) const {
  const std::string name = fmt::format("{}{}", kStepPrefix, checkpoint.step);
  const fs::path final_path = fs::path(folder_) / name;
  const fs::path temporary = fs::path(folder_) / fmt::format("{}.tmp-{}", name, ::getpid());
  checked(temporary.string(), "create", [&](std::error_code& error) { fs::create_directory(temporary, error); });
  try {
    write_tensors((temporary / "weights.h5").string(), checkpoint.weights, ModelFileKind::model);
    write_tensors((temporary / "optimizer.h5").string(), checkpoint.optimizer, ModelFileKind::optimizer);
    if (!checkpoint.best.empty())
      write_tensors((temporary / "best.h5").string(), checkpoint.best, ModelFileKind::model);
    const Json state = {{"version", kCheckpointVersion},
                        {"config", Json::parse(config_json_)},
                        {"state", Json::parse(checkpoint.state_json)}};
    write_whole_file((temporary / "state.json").string(), state.dump(1));
    const Json manifest = {{"format", "strandline checkpoint"},
                           {"program", kVersion},
                           {"step", checkpoint.step},
                           {"files", describe_files(temporary)}};
    write_whole_file((temporary / "MANIFEST.json").string(), manifest.dump(1));
    // A damaged folder of this very step may be in the way: a whole one would have been loaded instead of computed
    // again.
    remove_tree(final_path);
    checked(final_path.string(), "rename a temporary folder to it",
            [&](std::error_code& error) { fs::rename(temporary, final_path, error); });
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  // Its commit syncs the folder, and with it the rename above.
  write_whole_file((fs::path(folder_) / "LATEST").string(), name + "\n");
  remove_all_but_newest(kKept);
}

void CheckpointStore::remove_all_but_newest(std::size_t keep) const {
  const std::vector<std::int64_t> all = steps_in(folder_);
  for (std::size_t index = keep; index < all.size(); ++index) {
    remove_tree(fs::path(folder_) / fmt::format("{}{}", kStepPrefix, all[index]));
  }
}

void CheckpointStore::clear() const {
  remove_all_but_newest(0);
  remove_tree(fs::path(folder_) / "LATEST");
}

}  // namespace strandline
