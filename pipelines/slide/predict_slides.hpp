// `slide predict`: one line of class probabilities per slide.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/backend.hpp"
#include "pipelines/slide/mil_store.hpp"

namespace strandline {

struct SlidePredictOptions {
  std::string model;                ///< a model file, or the folder of a training run: then all its folds together
  std::vector<std::string> bags{};  ///< files or folders of them
  std::string coordinates{};        ///< folder of HDF5 files with coords, for features without
  std::string output = "-";
};

struct SlidePredictSummary {
  std::int64_t slides = 0;
  std::int64_t failed = 0;  ///< bags that could not be read
  std::string first_failure{};
  std::int64_t models = 0;
};

struct SlidePredictControl {
  std::stop_token stop{};
  std::function<void(std::int64_t done, std::int64_t all)> progress{};
};

/// The table has one line per bag in the order given (folders: by slide):
///
///     slide_id  patches  label  score  p_<class>...  note
///
/// p is the mean of the models' softmax, label the class of the largest p (the first of equals), score that p. A bag
/// that cannot be read, or is empty, has NA and the reason in `note`; the others go on. The bytes depend on models and
/// bags alone. @throws DataError when there is no model or the models differ in classes; IoError; InterruptedError.
SlidePredictSummary predict_slides(const SlidePredictOptions& options, Backend& backend,
                                   const SlidePredictControl& control = {});

/// The model itself, or <run>/fold_0/model.h5, fold_1/model.h5, ... @throws DataError when there is none.
std::vector<std::string> find_models(const std::string& path);

}  // namespace strandline
