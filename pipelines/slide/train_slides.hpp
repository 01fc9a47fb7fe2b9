// `slide train`: cross-validated aggregators on bags of patch features.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/model/mil/mil_config.hpp"
#include "pipelines/run/metrics.hpp"
#include "pipelines/run/trainer.hpp"
#include "pipelines/slide/bag_learner.hpp"
#include "pipelines/slide/folds.hpp"
#include "pipelines/slide/label_table.hpp"
#include "pipelines/slide/patch_order.hpp"

namespace strandline {

enum class LossWeights : std::uint8_t { equal, balanced };  ///< balanced: classes by the inverse of their frequency

/// Defaults are the published recipe of the Mamba line (MambaMIL, Mamba2MIL): Adam, 2e-4, one bag a step, at most 200
/// epochs, stop after 20 without a smaller validation loss but not before epoch 50.
struct SlideTrainOptions {
  std::string features;  ///< folder of bags
  std::string table;
  LabelColumns columns{};
  std::string coordinates{};  ///< folder of HDF5 files with coords, for features without; empty: none
  MissingPolicy missing = MissingPolicy::error;
  std::string splits{};  ///< folder of splits_i.csv; empty: folds are made
  FoldOptions folds{};
  MilKind kind = MilKind::abmil;
  std::vector<std::pair<std::string, std::string>>
      settings{};                     ///< fields of MilConfig by name, over the published ones
  std::optional<PatchOrder> order{};  ///< absent: by rows when all bags have coordinates, else as in the files
  std::int64_t epochs = 200;
  std::int64_t patience = 20;  ///< epochs; 0: never
  std::int64_t patience_from_epoch = 50;
  std::int64_t bags_per_step = 1;
  double learning_rate = 2e-4;
  double weight_decay = 1e-5;
  double clip = 0;  ///< 0: no clipping
  double label_smoothing = 0;
  LossWeights loss_weights = LossWeights::equal;
  BagSampling sampling = BagSampling::shuffle;
  std::uint64_t seed = 1;
  std::int64_t cache_bytes = std::int64_t{4} << 30;
  double checkpoint_minutes = 10;
  std::int64_t checkpoint_epochs = 0;  ///< beside the time; 0: by time alone
};

/// What a run learns from, checked: every bag was looked at.
struct SlideData {
  LabelTable table;
  std::vector<BagSource> sources;  ///< one per slide of the table
  std::vector<BagInfo> bags;
  std::vector<Fold> folds;
  PatchOrder order;
  std::int64_t width = 0;
  std::vector<std::string> left_out;  ///< slides, with the reason in brackets
};

/// @throws DataError for everything that the table, the folder, the bags or the splits have wrong.
SlideData load_slide_data(const SlideTrainOptions& options);

/// The published configuration of the kind with the options' settings. @throws ContractError naming field and value.
MilConfig mil_config_of(const SlideTrainOptions& options, const SlideData& data);

/// What one fold's model said.
struct FoldResult {
  Predictions validation;
  Predictions test;
  TrainingHistory history;
  std::string model_hash;
};

struct SlideProgress {
  std::int64_t fold = 0;
  std::int64_t folds = 0;
  TrainingProgress training;
};

/// A run: what it is made of. Everything outlives it.
struct SlideRun {
  const SlideTrainOptions& options;
  const SlideData& data;
  const MilConfig& config;
  std::string output;  ///< folder
  Backend& backend;
};

/// Everything that decides the bits of a run: checkpoints and results belong together when this is equal.
std::string run_config_json(const SlideRun& run);

struct SlideRunControl {
  std::stop_token stop{};
  std::function<void(const SlideProgress&)> progress{};
  std::string training_command{};
};

/// Trains, saves <output>/fold_<i>/model.h5 and judges. A fold that was finished before is not trained again; one that
/// was interrupted goes on from its checkpoint (<output>/fold_<i>/checkpoints), to the same bits.
/// @throws InterruptedError when stopped; a checkpoint is then complete.
FoldResult run_fold(const SlideRun& run, std::int64_t fold, const SlideRunControl& control);

/// The judged slides of all folds, as often as they were judged (once, in k folds), with their patients as clusters.
struct OutOfFold {
  Predictions predictions;
  std::vector<std::int64_t> slides;    ///< index in the table
  std::vector<std::int64_t> folds;     ///< that judged it
  std::vector<std::int64_t> patients;  ///< numbered from 0
};

OutOfFold collect(const SlideData& data, const std::vector<FoldResult>& results);

/// CLAM's fold_<i>.csv: slide_id, Y, Y_hat, p_0, p_1, ...
std::string fold_csv(const SlideData& data, std::int64_t fold, const Predictions& test);
/// CLAM's summary.csv: folds, test_auc, val_auc, test_acc, val_acc.
std::string summary_csv(const std::vector<FoldResult>& results);
/// All out-of-fold predictions with names: slide_id, case_id, fold, label, predicted, p_<class>...
std::string predictions_tsv(const SlideData& data, const OutOfFold& all);

}  // namespace strandline
