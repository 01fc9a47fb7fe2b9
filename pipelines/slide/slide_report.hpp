// One HTML file about a cross-validated aggregator: how it was trained, and how good it is. It needs no other file and
// runs no script.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pipelines/run/judgement.hpp"
#include "pipelines/run/run_manifest.hpp"
#include "pipelines/slide/train_slides.hpp"

namespace strandline {

struct SlideReport {
  std::string title;
  const SlideData& data;
  const std::vector<FoldResult>& folds;
  Judgement judgement;  ///< of all out-of-fold predictions
  RunManifest manifest;
  std::vector<std::pair<std::string, std::string>> settings;
};

std::string to_html(const SlideReport& report);

}  // namespace strandline
