// A named evaluation: which model, on which examples. What metrics files and reports are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/run/metrics.hpp"

namespace strandline {

struct Judgement {
  std::string model;        ///< "Mamba-2", "5-mer logistic regression"
  std::int64_t length = 0;  ///< bases per example; 0: as the rows are
  bool baseline = false;
  Evaluation evaluation;
};

/// "Mamba-2, 1,024 bases"
std::string title_of(const Judgement& judgement);

/// A JSON object: class names and, per judgement, scores with intervals, scores per class, confusion and reliability.
/// Undefined scores are null.
std::string to_json(const std::vector<Judgement>& judgements, const std::vector<std::string>& class_names);

/// "1,024"
std::string with_thousands(std::int64_t number);

}  // namespace strandline
