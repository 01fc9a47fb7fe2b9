// Checkpoints of a run in a folder: each whole or absent, verified when read, old ones removed only after a new one is
// safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/model_file/named_tensor.hpp"

namespace strandline {

/// Everything that going on needs.
struct Checkpoint {
  std::int64_t step = 0;
  std::string state_json;  ///< a JSON object: counters and history, as the trainer wrote it
  std::vector<NamedTensor> weights;
  std::vector<NamedTensor> optimizer;
  std::vector<NamedTensor> best;  ///< best weights so far; empty before the first evaluation
};

/// Layout: <folder>/step-N/{weights.h5,optimizer.h5,best.h5,state.json,MANIFEST.json}, <folder>/LATEST.
/// A checkpoint is written under a temporary name, synced file by file, its manifest (sizes, SHA-256) last, and
/// renamed; LATEST follows; then older ones go, except the one before. The caller holds a lock: one process at a time.
class CheckpointStore {
 public:
  /// @param config_json a JSON object: all that decides the bits of the run. Two runs may continue each other when
  /// these are equal. Removes what a killed writer left behind.
  CheckpointStore(std::string folder, std::string config_json);

  /// The newest checkpoint that is whole; damaged ones are passed over. Nothing when there is none.
  /// @throws DataError when the newest is of another configuration (its differences are named) or of a newer program.
  std::optional<Checkpoint> load() const;
  /// The configuration of that checkpoint, whatever it is; empty when there is none. For what a run chooses by itself
  /// and must choose again as before.
  static std::string newest_config(const std::string& folder);
  /// @throws NumericError when a number is not finite, IoError; earlier checkpoints are then as before.
  void save(const Checkpoint& checkpoint) const;
  /// Removes every checkpoint of the folder, and LATEST.
  void clear() const;

  const std::string& folder() const { return folder_; }

 private:
  void remove_all_but_newest(std::size_t keep) const;
  void remove_leftovers() const;
  void require_same_config(const std::string& stored_config, const std::string& file) const;

  std::string folder_;
  std::string config_json_;
};

}  // namespace strandline
