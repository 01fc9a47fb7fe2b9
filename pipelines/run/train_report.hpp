// One HTML file that says how a model was trained and how good it is. It needs no other file and runs no script.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/run/judgement.hpp"
#include "pipelines/run/run_manifest.hpp"
#include "pipelines/run/training_data.hpp"
#include "pipelines/run/training_history.hpp"

namespace strandline {

struct TrainReport {
  std::string title;
  std::vector<ClassData> classes;
  std::vector<Judgement> judgements;  ///< the model first
  TrainingHistory history;
  RunManifest manifest;
  std::vector<std::pair<std::string, std::string>> settings;  ///< name and value, for the table of the model
  std::vector<std::string> notes;                             ///< sentences on how to read the numbers
};

std::string to_html(const TrainReport& report);

}  // namespace strandline
