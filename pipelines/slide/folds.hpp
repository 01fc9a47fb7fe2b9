// Which slides a model learns from, is chosen by and is judged on: by patient, stratified, the same for the same seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/slide/label_table.hpp"

namespace strandline {

/// Indices of slides in the table, ascending.
struct Fold {
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> validation;
  std::vector<std::int64_t> test;
};

struct FoldOptions {
  enum class Scheme : std::uint8_t {
    k_fold,      ///< every patient is judged once
    monte_carlo  ///< every fold draws `test_fraction` of the patients anew
  };

  Scheme scheme = Scheme::k_fold;
  int folds = 5;
  double validation_fraction = 0.1;  ///< of the patients that are not judged; at least one of each class
  double test_fraction = 0.1;        ///< of monte_carlo
  std::uint64_t seed = 1;
};

/// A patient's slides stay together; a patient counts as of the class that most of the slides have (the lower of
/// equals). Per class, patients are shuffled and dealt out, so that folds differ by one patient of each class at most.
/// @throws DataError when a class has fewer patients than folds (k_fold), or too few for training, validation and test;
/// ContractError for options out of range.
std::vector<Fold> make_folds(const LabelTable& table, const FoldOptions& options);

/// CLAM's `splits_<i>.csv`: columns train, val, test with slide names, filled up with empty fields.
/// @throws DataError: an unknown slide, one that is there twice, a patient in two parts, a part without slides or (in
/// train) without a class.
Fold read_split(const std::string& path, const LabelTable& table);
/// splits_0.csv, splits_1.csv, ... of a folder, up to the first that is missing. @throws DataError when there is none.
std::vector<Fold> read_splits(const std::string& folder, const LabelTable& table);
/// The text of such a file.
std::string split_csv(const Fold& fold, const LabelTable& table);

}  // namespace strandline
