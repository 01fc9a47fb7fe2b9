// The options of `strandline dna train`, and what follows from them.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/device.hpp"
#include "core/model/config.hpp"
#include "pipelines/dna/training_genomes.hpp"
#include "pipelines/run/trainer.hpp"
#include "pipelines/run/training_data.hpp"

namespace strandline {

enum class ClassWeights : std::uint8_t { none, balanced };

struct DnaTrainOptions {
  // Data.
  std::vector<std::string> classes;      ///< name=file[,file...]
  std::vector<std::string> val_classes;  ///< the same
  std::string table;
  std::string sequence_column = "sequence";
  std::string label_column = "label";
  std::string split_column = "split";
  std::optional<std::int64_t> length;
  std::optional<std::int64_t> min_length;  ///< of windows; absent: kDefaultMinLength, or length if that is shorter
  double max_n = 0.1;
  bool single_strand = false;
  ClassWeighting sampling = ClassWeighting::uniform;
  // Held out.
  std::vector<std::string> val_contigs;
  double val_fraction = 0.1;
  std::int64_t val_windows = 40;
  std::vector<std::int64_t> eval_lengths;
  std::int64_t eval_windows = 250;
  std::string baseline = "none";
  // Model: small, so that minutes on a few cores are enough; larger ones want more steps.
  ClassifierConfig model{.encoder = {.d_model = 64, .layers = 2, .d_state = 16, .d_conv = 8}};
  // Training.
  std::optional<std::int64_t> steps;
  std::optional<std::int64_t> epochs;
  std::int64_t batch_tokens = 8192;
  std::int64_t micro_batch_tokens = 8192;
  double learning_rate = 8e-3;
  double warmup = 0.1;
  AdamwOptions adamw{.beta2 = 0.98};
  double label_smoothing = 0;
  ClassWeights class_weights = ClassWeights::none;
  std::optional<std::int64_t> eval_every;
  std::int64_t patience = 0;
  std::uint64_t seed = 1;
  // Output.
  std::string output;
  std::string report;
  std::string metrics;
  std::string manifest;
  double checkpoint_minutes = 5;
  std::int64_t checkpoint_steps = 0;
  bool restart = false;
  bool quiet = false;
  DeviceOptions device;

  std::string checkpoint_folder() const { return output + ".ckpt"; }
  std::string manifest_path() const { return manifest.empty() ? output + ".run.json" : manifest; }
  /// Files of classes or the table, in the order given.
  std::vector<std::string> inputs() const;
  std::int64_t longest_window() const;
  std::int64_t shortest_window() const;
  /// Lengths that judge; 0 stands for "as the data are".
  std::vector<std::int64_t> judged_lengths() const;
};

/// Declares every option on `command`.
void declare_dna_train_options(CLI::App& command, DnaTrainOptions& options);

/// What single options cannot see. @throws CLI::ValidationError.
void check_dna_train_options(const DnaTrainOptions& options);

std::unique_ptr<TrainingData> load_training_data(const DnaTrainOptions& options);
ClassifierConfig model_config(const DnaTrainOptions& options, std::int64_t classes);
TrainerOptions trainer_options(const DnaTrainOptions& options, const TrainingData& data);

}  // namespace strandline
